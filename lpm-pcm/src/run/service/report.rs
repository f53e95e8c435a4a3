//! What a service says of itself: its status, and its metrics.

use lpm_api::Interface;

use super::Service;
use crate::run::control::{InterfaceStatus, LpmReport, Status};
use crate::run::host::bandwidth;
use crate::run::metrics::{self, InterfaceView, View};

impl<W> Service<W> {
    pub(super) fn status(&self) -> Status {
        let interfaces = self.interfaces().into_iter();
        let interfaces = interfaces.map(|interface| InterfaceStatus {
            name: interface.name,
            index: interface.index,
            reserved: interface.reserved,
        });
        let dropped = self.troubles.all_dropped().into_iter();
        let (status, counted) = (self.pcm.status(), self.pcm.metrics());
        let lpms = status.lpms.iter();
        let pinned = status.pinned.iter();
        Status {
            uptime: self.started.elapsed().as_secs(),
            phase: status.phase.name(),
            lpms: lpms.map(|lpm| LpmReport::of(lpm, &counted)).collect(),
            pinned: pinned
                .map(|pinned| pinned.library.display().to_string())
                .collect(),
            interfaces: interfaces.collect(),
            sessions: self.node.session_count(),
            flows: self.node.flow_count(),
            enforce: self.config.run.enforce,
            dropped: dropped
                .map(|(reason, count)| (reason.name(), count))
                .collect(),
        }
    }

    pub(super) fn metrics(&self) -> String {
        let view = View {
            uptime: self.started.elapsed(),
            interfaces: &self.interfaces(),
            sessions: self.node.session_count(),
            flows: self.node.flow_count(),
            dropped: &self.troubles.all_dropped(),
            status: &self.pcm.status(),
            lpms: &self.pcm.metrics(),
        };
        metrics::text(&self.counters, &view)
    }

    fn interfaces(&self) -> Vec<InterfaceView> {
        let interfaces = self.links.iter().map(|link| {
            let index = link.interface.index;
            let addresses = link.interface.addresses.iter();
            let reserved = addresses.map(|address| {
                self.node.allocated(&Interface {
                    index,
                    address: *address,
                })
            });
            InterfaceView {
                name: link.name.clone(),
                index,
                bandwidth: bandwidth(&self.config, link).map(|bytes| bytes.saturating_mul(8)),
                reserved: u64::try_from(reserved.max().unwrap_or_default()).unwrap_or(u64::MAX),
            }
        });
        interfaces.collect()
    }
}
