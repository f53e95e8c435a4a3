//! What a service is told to change while it runs: questions and orders of the control socket,
//! another configuration, the interfaces of the host.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Service;
use crate::config::Config;
use crate::output::plain;
use crate::run::charge::{Change, Changed};
use crate::run::control::{Control, Query, Reply};
use crate::run::host::{address_rows, bandwidth, wanted_links};
use crate::run::http::Http;
use crate::run::kernel::Capacity;
use crate::run::lacking;
use crate::run::netlink::Link;
use crate::run::reload::not_taken;

impl<W: Write> Service<W> {
    /// Answers a question, or has an order carried out. `reload` reads the configuration anew.
    pub(super) fn answer(
        &mut self,
        query: Query,
        answer: oneshot::Sender<Reply>,
        reload: &mut impl FnMut() -> Result<Config, Box<dyn Error>>,
    ) {
        let reply = match query {
            Query::Reload => return self.reload(reload(), Some(answer)),
            Query::Sessions => Reply::Sessions(self.node.report()),
            Query::Status => Reply::Status(self.status()),
            Query::Metrics => Reply::Metrics(self.metrics()),
            Query::Demote => return self.charge.make(Change::Demote, Some(answer)),
            Query::BecomeDsbm => return self.charge.make(Change::BecomeDsbm, Some(answer)),
        };
        // Who went away does not mind.
        let _ = answer.send(reply);
    }

    /// Does what follows from a change that was made.
    pub(super) fn has_changed(&mut self, changed: Changed) -> io::Result<()> {
        let Changed {
            change,
            result,
            answer,
        } = changed;
        let reply = match (change, result) {
            (Change::Demote, Ok(())) => {
                // What LPMs granted goes with them. What comes now is refused.
                self.node.stop(self.now());
                plain::tell("demoted: the LPMs are stopped, and all reservations are released");
                Reply::Demoted
            }
            (Change::BecomeDsbm, Ok(())) => {
                plain::tell("in charge: the LPMs are initialized");
                Reply::InCharge
            }
            (Change::Reload(config), Ok(())) => Reply::Reloaded(self.take(*config)),
            (change, Err(error)) => {
                let what = match change {
                    Change::Demote => "not demoted",
                    Change::BecomeDsbm => "not in charge",
                    Change::Reload(_) => "not reloaded",
                };
                plain::tell(format_args!("{what}: {error}"));
                Reply::Refused(error.to_string())
            }
        };
        self.work_off()?;
        if let Some(answer) = answer {
            let _ = answer.send(reply);
        }
        Ok(())
    }

    /// Takes what can be taken of another configuration, whose LPMs run already, and says what
    /// cannot.
    fn take(&mut self, mut new: Config) -> Vec<String> {
        let restart = not_taken(&self.config, &new).into_iter();
        let mut not_taken: Vec<_> = restart
            .map(|what| format!("needs a restart: {what}"))
            .collect();
        if new.run.control != self.config.run.control {
            match Control::configured(new.run.control.as_deref(), &self.query) {
                Ok(control) => self.control = control,
                Err(fault) => {
                    not_taken.push(format!("{fault}; the old one goes on"));
                    new.run.control.clone_from(&self.config.run.control);
                }
            }
        }
        if new.run.metrics != self.config.run.metrics {
            match Http::configured(new.run.metrics, &self.query) {
                Ok(http) => self.http = http,
                Err(fault) => {
                    not_taken.push(format!("{fault}; the old one goes on"));
                    new.run.metrics = self.config.run.metrics;
                }
            }
        }
        if self.node.set_bandwidth(&new.sbm.interfaces) {
            self.config.sbm.interfaces = new.sbm.interfaces;
        }
        self.node.set_refresh(new.run.refresh);
        if let Some(kernel) = &self.kernel {
            kernel.replace(new.run.replace_qdisc);
        }
        let enforce = self.config.run.enforce;
        self.config.lpms = new.lpms;
        self.config.run = new.run;
        self.config.run.enforce = enforce;
        if let Ok(links) = wanted_links(&mut self.lookup, &self.config) {
            not_taken.extend(lacking::in_kernel(&mut self.lookup, &self.config, &links));
            not_taken.extend(lacking::of_configuration(&self.config, &links));
            self.take_links(links);
        }
        not_taken.iter().for_each(plain::tell);
        plain::tell("reloaded: the LPMs of the configuration run");
        not_taken
    }

    pub(super) fn follow_changes(&mut self) {
        match wanted_links(&mut self.lookup, &self.config) {
            Ok(links) if links != self.links => {
                lacking::changes(&self.links, &links)
                    .iter()
                    .for_each(plain::tell);
                let rows = address_rows(&links);
                self.take_links(links);
                let pcm = Arc::clone(&self.pcm);
                tokio::task::spawn_blocking(move || pcm.set_ip_address_table(&rows));
            }
            _ => self.node.routes_changed(self.now()),
        }
    }

    pub(super) fn take_links(&mut self, links: Vec<Link>) {
        let named = &self.config.run.udp_interfaces;
        let in_udp = links.iter().filter(|link| named.contains(&link.name));
        if let Err(error) = self.sockets.speak_udp(in_udp) {
            self.troubles
                .failed(format!("no RSVP in UDP on a link, port 1698: {error}"));
        }
        if let Some(kernel) = &self.kernel {
            for old in &self.links {
                let index = old.interface.index;
                if !links.iter().any(|link| link.interface.index == index) {
                    kernel.interface(index, None);
                }
            }
            for link in &links {
                let bandwidth = bandwidth(&self.config, link);
                let capacity = bandwidth.map(|bandwidth| Capacity {
                    bandwidth,
                    mtu: link.interface.mtu,
                });
                if capacity.is_some() {
                    kernel.interface(link.interface.index, capacity);
                }
            }
        }
        let interfaces = links.iter().map(|link| link.interface.clone());
        self.node.set_interfaces(self.started.elapsed(), interfaces);
        self.links = links;
    }

    /// Runs the LPMs of another configuration; flows stay.
    pub(super) fn reload(
        &mut self,
        config: Result<Config, Box<dyn Error>>,
        answer: Option<oneshot::Sender<Reply>>,
    ) {
        match config {
            Ok(config) => self.charge.make(Change::Reload(Box::new(config)), answer),
            Err(error) => {
                plain::tell(format_args!("not reloaded: {error}"));
                if let Some(answer) = answer {
                    let _ = answer.send(Reply::Refused(error.to_string()));
                }
            }
        }
    }
}
