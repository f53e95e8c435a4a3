//! Callsites of libraries, as callsites of the host.
//!
//! A subscriber keeps what it is told of callsites for good, and filters by what stands in them: so
//! each has to be a static of the host. Callsites that tell the same of themselves are one, in
//! whichever library and load; a library that is reloaded costs nothing here.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use tracing_core::callsite::{Callsite, DefaultCallsite, Identifier};
use tracing_core::field::FieldSet;
use tracing_core::{Dispatch, Interest, Kind, Level, LevelFilter, Metadata, dispatcher};

use crate::lock::lock;

/// The field that names the LPM; always the last.
pub(super) const LPM: &str = "lpm";
/// What a field of the library's is called whose name is [`LPM`].
const LPM_OF_LIBRARY: &str = "lpm_";

/// How many callsites this process makes for libraries.
pub(super) const LIMIT: usize = 4_096;
/// How many bytes of names one may take.
const SIZE_LIMIT: usize = 4_096;

static SITES: [OnceLock<Site>; LIMIT] = [const { OnceLock::new() }; LIMIT];
/// Held for moments only, never while a subscriber is called.
static NUMBERS: Mutex<BTreeMap<Description<'static>, u32>> = Mutex::new(BTreeMap::new());

/// What a callsite tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Description<'a> {
    pub(super) target: &'a str,
    pub(super) name: &'a str,
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) module_path: &'a str,
    pub(super) level: u32,
    pub(super) is_span: bool,
    pub(super) fields: &'a [&'a str],
}

/// The number of the callsite with this description, which is made where there is none; `None`
/// where there are too many, or it is too large.
pub(super) fn intern(description: &Description<'_>) -> Option<u32> {
    let mut numbers = lock(&NUMBERS);
    if let Some(number) = numbers.get(description) {
        return Some(*number);
    }
    let place = SITES.get(numbers.len())?;
    let number = u32::try_from(numbers.len()).ok()?;
    if description.size() > SIZE_LIMIT {
        return None;
    }
    let description = description.leaked();
    place.set(Site::new(&description)).ok()?;
    numbers.insert(description, number);
    Some(number)
}

/// The callsite with this number.
pub(super) fn site(number: u32) -> Option<&'static Site> {
    SITES.get(usize::try_from(number).ok()?)?.get()
}

/// The callsite for what has none of its own, by level and kind.
pub(super) fn generic(level: u32, is_span: bool) -> &'static Site {
    static EVENTS: [OnceLock<Site>; 5] = [const { OnceLock::new() }; 5];
    static SPANS: [OnceLock<Site>; 5] = [const { OnceLock::new() }; 5];
    let level = level.clamp(1, 5);
    let all = if is_span { &SPANS } else { &EVENTS };
    let place = &all[usize::from(u8::try_from(level - 1).unwrap_or(0))];
    place.get_or_init(|| {
        Site::new(&Description {
            target: "lpm",
            name: if is_span { "lpm span" } else { "lpm event" },
            file: "",
            line: 0,
            module_path: "",
            level,
            is_span,
            fields: &GENERIC_FIELDS,
        })
    })
}

/// The fields of generic callsites before the last: the text of an event, what the callsite tells
/// of itself, and all other fields in one text.
pub(super) const GENERIC_FIELDS: [&str; 6] =
    ["message", "target", "name", "file", "line", "fields"];

impl Description<'_> {
    fn size(&self) -> usize {
        let texts = [self.target, self.name, self.file, self.module_path];
        let texts = texts.iter().chain(self.fields);
        texts.map(|text| text.len() + size_of::<&str>()).sum()
    }

    fn leaked(&self) -> Description<'static> {
        let fields: Vec<&str> = self.fields.iter().map(|field| leak(field)).collect();
        Description {
            target: leak(self.target),
            name: leak(self.name),
            file: leak(self.file),
            module_path: leak(self.module_path),
            fields: Vec::leak(fields),
            ..*self
        }
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(Box::from(text))
}

/// A callsite of the host that stands for those of libraries.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) metadata: &'static Metadata<'static>,
    identity: &'static Identity,
}

impl Site {
    fn new(description: &Description<'static>) -> Self {
        let identity: &'static Identity = Box::leak(Box::default());
        let own = description.fields.iter().map(|field| match *field {
            LPM => LPM_OF_LIBRARY,
            field => field,
        });
        let fields: Vec<&str> = own.chain([LPM]).collect();
        let some = |text: &'static str| Some(text).filter(|text| !text.is_empty());
        let metadata: &'static Metadata<'static> = Box::leak(Box::new(Metadata::new(
            description.name,
            description.target,
            level(description.level),
            some(description.file),
            Some(description.line).filter(|line| *line != 0),
            some(description.module_path),
            FieldSet::new(Vec::leak(fields), Identifier(identity)),
            if description.is_span {
                Kind::SPAN
            } else {
                Kind::EVENT
            },
        )));
        identity.0.get_or_init(|| DefaultCallsite::new(metadata));
        Self { metadata, identity }
    }

    /// Whether the host's subscribers want what this callsite emits.
    pub(super) fn interest(&self) -> Interest {
        let callsite = self.identity.0.get();
        callsite.map_or_else(Interest::never, DefaultCallsite::interest)
    }

    /// Whether this thread's subscriber wants what this callsite is about to emit.
    pub(super) fn is_enabled(&self) -> bool {
        dispatcher::get_default(|dispatch| self.is_enabled_by(dispatch))
    }

    /// The same for a subscriber.
    pub(super) fn is_enabled_by(&self, dispatch: &Dispatch) -> bool {
        if *self.metadata.level() > LevelFilter::current() {
            return false;
        }
        let interest = self.interest();
        interest.is_always() || interest.is_sometimes() && dispatch.enabled(self.metadata)
    }
}

fn level(number: u32) -> Level {
    match number {
        0 | 1 => Level::ERROR,
        2 => Level::WARN,
        3 => Level::INFO,
        4 => Level::DEBUG,
        _ => Level::TRACE,
    }
}

/// What the metadata point to as their callsite. The callsite that `tracing` calls is inside: it
/// can only be made once there are metadata.
#[derive(Debug, Default)]
struct Identity(OnceLock<DefaultCallsite>);

impl Callsite for Identity {
    fn set_interest(&self, interest: Interest) {
        if let Some(callsite) = self.0.get() {
            callsite.set_interest(interest);
        }
    }

    fn metadata(&self) -> &Metadata<'_> {
        let callsite = self.0.get();
        callsite
            .expect("set before the metadata get around")
            .metadata()
    }
}
