//! What a runner reports while it runs, as the PCM puts it on record. None of it is taken on trust.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use abi_stable::std_types::RStr;
use lpm_abi::{AbiCallsite, AbiField, AbiParent, AbiResult, AbiTraceHost, AbiValue, NO_SPAN};
use lpm_api::{LpmHandle, LpmStatus};

use super::super::lpmapi::conduct::Conduct;
use super::super::panics::Attachment;
use super::super::trace;
use super::frames::{Frame, Kind};
use super::process::Process;
use super::words::{Malformed, Take, line};
use crate::event::{Event, EventId, EventLog};
use crate::requests::results;

/// Places in its code that an LPM may log from.
const MOST_SITES: usize = 8192;

/// Puts on record what one runner reports.
pub(crate) struct Reports {
    pub(crate) name: Arc<str>,
    pub(crate) handle: LpmHandle,
    pub(crate) library: PathBuf,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) conduct: Arc<Conduct>,
    attachment: Attachment,
    trace: AbiTraceHost,
    /// By the runner's number: the host's, where there is one.
    sites: Vec<u32>,
    /// The same of spans that are open.
    spans: BTreeMap<u64, u64>,
}

impl Reports {
    pub(crate) fn new(
        name: Arc<str>,
        handle: LpmHandle,
        library: PathBuf,
        attachment: Attachment,
        events: Arc<dyn EventLog>,
        conduct: Arc<Conduct>,
    ) -> Self {
        let trace = attachment.host().trace;
        trace::note_lpm(attachment.number(), &name);
        Self {
            name,
            handle,
            library,
            events,
            conduct,
            attachment,
            trace,
            sites: Vec::new(),
            spans: BTreeMap::new(),
        }
    }

    /// The most verbose level that this host wants.
    pub(crate) const fn level(&self) -> u32 {
        self.trace.level
    }

    /// An event about the LPM.
    pub(crate) fn event(&self, id: EventId, detail: String) -> Event {
        Event::new(id, detail)
            .lpm(Arc::clone(&self.name))
            .handle(self.handle)
            .library(&self.library)
    }

    /// Sees to a frame; what is to be said of it is told to the process.
    pub(crate) fn see_to(&mut self, frame: &Frame, from: &Process) -> Result<(), Malformed> {
        let take = &mut frame.words();
        match frame.kind {
            Kind::Event => self.record(take),
            Kind::Overstepped => {
                self.conduct.note(line(take.text()?));
                Ok(())
            }
            Kind::Site => self.register(take),
            Kind::Log => self.log(take),
            Kind::Span => self.open(take),
            Kind::SpanFields => self.add_fields(take),
            Kind::SpanFollows => {
                let (span, follows) = (self.span(take)?, self.span(take)?);
                (self.trace.follows_from)(self.library_number(), span, follows);
                Ok(())
            }
            Kind::SpanClosed => {
                if let Some(span) = self.spans.remove(&take.number()?) {
                    (self.trace.try_close)(self.library_number(), span);
                }
                Ok(())
            }
            Kind::Decisions => self.take(take, from, |take, result| {
                Ok(results::take_decisions(result, take.plain()?))
            }),
            Kind::WrongCount => self.take(take, from, |take, result| {
                let (found, expected) = (take.narrow()?, take.narrow()?);
                if found == expected {
                    return Err(Malformed);
                }
                let none = || [];
                Ok(results::take_counted_decisions(
                    result,
                    found,
                    Some(expected),
                    none,
                ))
            }),
            Kind::Objects => self.take(take, from, |take, result| {
                Ok(results::take_objects(result, take.plain()?))
            }),
            Kind::Refused => self.take(take, from, |take, result| {
                Ok(results::refuse(result, &line(take.text()?)))
            }),
            _ => Err(Malformed),
        }
    }

    /// An event of a kind that is about what an LPM does; others are this host's to record.
    fn record(&self, take: &mut Take<'_>) -> Result<(), Malformed> {
        let number: u16 = take.narrow()?;
        let (has_status, status) = (take.flag()?, LpmStatus(take.narrow()?));
        let detail = line(take.text()?);
        let id = match number {
            _ if number == EventId::LpmPanicked.number() => EventId::LpmPanicked,
            _ if number == EventId::LpmResultRefused.number() => EventId::LpmResultRefused,
            _ if number == EventId::LpmNotAsked.number() => EventId::LpmNotAsked,
            _ if number == EventId::LpmNotConfined.number() => EventId::LpmNotConfined,
            _ if number == EventId::LpmCallFailed.number() => EventId::LpmCallFailed,
            _ => return Ok(()),
        };
        let event = self.event(id, detail);
        self.events.record(&match has_status {
            true => event.status(status),
            false => event,
        });
        Ok(())
    }

    /// A result under the LPM's own handle, whatever the runner says.
    fn take(
        &self,
        take: &mut Take<'_>,
        from: &Process,
        with: impl FnOnce(&mut Take<'_>, &AbiResult) -> Result<LpmStatus, Malformed>,
    ) -> Result<(), Malformed> {
        let number = take.number()?;
        let result = AbiResult {
            lpm: self.handle.number(),
            request: take.number()?,
            status: take.narrow()?,
            flags: take.narrow()?,
        };
        // What is under it calls wakers and event logs, which are the embedder's code.
        let status = catch_unwind(AssertUnwindSafe(|| with(take, &result)));
        let status = status.unwrap_or(Ok(LpmStatus::OK))?;
        from.tell(Kind::Taken, |mut put| {
            put.number(number).number(status.0);
        });
        Ok(())
    }

    fn register(&mut self, take: &mut Take<'_>) -> Result<(), Malformed> {
        if self.sites.len() == MOST_SITES {
            return Err(Malformed);
        }
        let (target, name) = (take.text()?, take.text()?);
        let (module_path, file) = (take.text()?, take.text()?);
        let (line, level, is_span) = (take.narrow()?, take.narrow()?, take.flag()?);
        let fields = take.list(|take| Ok(RStr::from_str(take.text()?)))?;
        let callsite = AbiCallsite {
            target: target.into(),
            name: name.into(),
            module_path: module_path.into(),
            file: file.into(),
            line,
            level,
            is_span,
            fields: fields.as_slice().into(),
        };
        let registered = (self.trace.register)(self.attachment.number(), callsite);
        self.sites.push(registered.site);
        Ok(())
    }

    fn log(&self, take: &mut Take<'_>) -> Result<(), Malformed> {
        let (site, parent) = (self.site(take)?, self.parent(take)?);
        let fields = fields(take)?;
        (self.trace.event)(
            self.library_number(),
            site,
            parent,
            fields.as_slice().into(),
        );
        Ok(())
    }

    fn open(&mut self, take: &mut Take<'_>) -> Result<(), Malformed> {
        let (number, site, parent) = (take.number()?, self.site(take)?, self.parent(take)?);
        let fields = fields(take)?;
        let fields = fields.as_slice().into();
        let span = (self.trace.new_span)(self.library_number(), site, parent, fields);
        // One that the host does not keep is as good as none.
        if span != NO_SPAN && self.spans.insert(number, span).is_some() {
            return Err(Malformed);
        }
        Ok(())
    }

    fn add_fields(&self, take: &mut Take<'_>) -> Result<(), Malformed> {
        let span = self.span(take)?;
        let fields = fields(take)?;
        (self.trace.record)(self.library_number(), span, fields.as_slice().into());
        Ok(())
    }

    fn site(&self, take: &mut Take<'_>) -> Result<u32, Malformed> {
        let site: usize = take.narrow()?;
        self.sites.get(site).copied().ok_or(Malformed)
    }

    /// The host's number of a span.
    fn span(&self, take: &mut Take<'_>) -> Result<u64, Malformed> {
        let span = self.spans.get(&take.number()?);
        Ok(span.copied().unwrap_or(NO_SPAN))
    }

    fn parent(&self, take: &mut Take<'_>) -> Result<AbiParent, Malformed> {
        Ok(match take.flag()? {
            true => AbiParent::Span(self.span(take)?),
            false => AbiParent::Root,
        })
    }

    /// By what number the library's logs are known.
    pub(crate) fn library_number(&self) -> u64 {
        self.attachment.number()
    }
}

fn fields<'a>(take: &mut Take<'a>) -> Result<Vec<AbiField<'a>>, Malformed> {
    take.list(|take| {
        Ok(AbiField {
            index: take.narrow()?,
            value: match take.number()? {
                0 => AbiValue::Signed(i64::from_ne_bytes(take.number()?.to_ne_bytes())),
                1 => AbiValue::Unsigned(take.number()?),
                2 => AbiValue::Float(f64::from_bits(take.number()?)),
                3 => AbiValue::Flag(take.flag()?),
                4 => AbiValue::Text(take.text()?.into()),
                5 => AbiValue::Formatted(take.text()?.into()),
                _ => return Err(Malformed),
            },
        })
    })
}
