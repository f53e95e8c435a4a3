//! A library that events and spans come from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use lpm_abi::AbiInterest;

use super::budget::{Budget, Passage, TraceLimit};
use super::emitter::{Emitter, Generic};
use super::sites::{self, Description};
use super::spans::Spans;
use crate::lock::lock;

/// Callsites with such numbers have none of their own in the host.
const GENERIC: u32 = 1 << 31;
/// How many of them a library can have.
const GENERIC_LIMIT: usize = 4_096;

/// An attached library. Nothing of its memory is kept here.
pub(super) struct Source {
    pub(super) number: u64,
    /// Its file name.
    file: Arc<str>,
    /// The names of its LPMs.
    lpms: RwLock<Vec<Arc<str>>>,
    pub(super) spans: Spans,
    budget: Budget,
    /// The level that it was told.
    level: AtomicU32,
    /// The interest that it was told, by callsite.
    told: Mutex<BTreeMap<u32, AbiInterest>>,
    refreshing: AtomicBool,
    generic: RwLock<Vec<Arc<Generic>>>,
}

/// Read for moments only, never while a subscriber is called.
static SOURCES: RwLock<Vec<Arc<Source>>> = RwLock::new(Vec::new());

/// The attached library of this number.
pub(super) fn get(library: u64) -> Option<Arc<Source>> {
    let sources = SOURCES.read().unwrap_or_else(PoisonError::into_inner);
    sources
        .iter()
        .find(|source| source.number == library)
        .cloned()
}

/// Notes that this library is attached.
pub(super) fn add(library: u64, path: &Path, limit: TraceLimit) {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let source = Arc::new(Source {
        number: library,
        file: name.to_string_lossy().into(),
        lpms: RwLock::default(),
        spans: Spans::default(),
        budget: Budget::new(limit, Instant::now()),
        level: AtomicU32::new(0),
        told: Mutex::default(),
        refreshing: AtomicBool::new(false),
        generic: RwLock::default(),
    });
    let mut sources = SOURCES.write().unwrap_or_else(PoisonError::into_inner);
    sources.push(source);
}

/// Takes a library out that is detached.
pub(super) fn remove(library: u64) -> Option<Arc<Source>> {
    let mut sources = SOURCES.write().unwrap_or_else(PoisonError::into_inner);
    let index = sources.iter().position(|source| source.number == library)?;
    Some(sources.swap_remove(index))
}

impl Source {
    /// Notes that there is an LPM of this name in it.
    pub(super) fn has(&self, lpm: &Arc<str>) {
        let mut lpms = self.lpms.write().unwrap_or_else(PoisonError::into_inner);
        if !lpms.contains(lpm) {
            lpms.push(Arc::clone(lpm));
        }
    }

    /// The name of its LPM, or of all of them, which a thread of the library's own does not tell
    /// apart.
    pub(super) fn lpms(&self) -> Option<Arc<str>> {
        match &**self.lpms.read().unwrap_or_else(PoisonError::into_inner) {
            [] => None,
            [lpm] => Some(Arc::clone(lpm)),
            lpms => Some(lpms.join(", ").into()),
        }
    }

    /// The same, and its file where there is no LPM yet.
    pub(super) fn name(&self) -> Arc<str> {
        self.lpms().unwrap_or_else(|| Arc::clone(&self.file))
    }

    /// The number of the callsite with this description; `None` where there are too many.
    pub(super) fn register(&self, description: &Description<'_>) -> Option<u32> {
        sites::intern(description).or_else(|| self.register_generic(description))
    }

    fn register_generic(&self, description: &Description<'_>) -> Option<u32> {
        let generic = Generic {
            level: description.level,
            is_span: description.is_span,
            target: description.target.to_owned(),
            name: description.name.to_owned(),
            file: description.file.to_owned(),
            line: description.line,
            fields: description.fields.iter().map(ToString::to_string).collect(),
        };
        let mut all = self.generic.write().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|known| **known == generic);
        let index = match known {
            Some(index) => index,
            None if all.len() < GENERIC_LIMIT => {
                all.push(Arc::new(generic));
                all.len() - 1
            }
            None => return None,
        };
        u32::try_from(index).ok().map(|index| GENERIC | index)
    }

    /// What emits for the callsite of this number.
    pub(super) fn emitter(&self, number: u32) -> Option<Emitter> {
        if number & GENERIC == 0 {
            let site = sites::site(number)?;
            let generic = None;
            return Some(Emitter { site, generic });
        }
        let index = usize::try_from(number & !GENERIC).ok()?;
        let all = self.generic.read().unwrap_or_else(PoisonError::into_inner);
        let generic = Arc::clone(all.get(index)?);
        Some(Emitter {
            site: sites::generic(generic.level, generic.is_span),
            generic: Some(generic),
        })
    }

    /// Whether there is room for one more record in this library's limit. What was dropped for want
    /// of it is reported first.
    pub(super) fn may_emit(&self) -> bool {
        match self.budget.spend(Instant::now) {
            Passage::Granted => true,
            Passage::GrantedAfter(dropped) => {
                self.report(dropped);
                true
            }
            Passage::Denied => false,
        }
    }

    /// Counts a record that is dropped for another reason.
    pub(super) fn drop_one(&self) {
        self.budget.drop_one();
    }

    /// Reports what was dropped and is not reported yet.
    pub(super) fn report_dropped(&self) {
        match self.budget.take_dropped() {
            0 => {}
            dropped => self.report(dropped),
        }
    }

    fn report(&self, dropped: u64) {
        tracing::warn!(
            target: "lpm_host::trace",
            lpm = &*self.name(),
            dropped,
            "an LPM logs more than it may: {dropped} of its events and spans were dropped"
        );
    }

    /// The level that the library is to be told now.
    pub(super) fn tell_level(&self, level: u32) {
        self.level.store(level, Ordering::Relaxed);
        // Those that it does not ask about again do not concern it any more.
        lock(&self.told).clear();
    }

    /// Notes the interest that the library is told.
    pub(super) fn tell_interest(&self, number: u32, interest: AbiInterest) {
        lock(&self.told).insert(number, interest);
    }

    /// Whether the library was told something else than what holds now.
    pub(super) fn is_stale(&self, level: u32) -> bool {
        if self.level.load(Ordering::Relaxed) != level {
            return true;
        }
        let told: Vec<_> = lock(&self.told)
            .iter()
            .map(|(number, interest)| (*number, *interest))
            .collect();
        told.into_iter().any(|(number, interest)| {
            let emitter = self.emitter(number);
            emitter.is_some_and(|emitter| emitter.interest() != interest)
        })
    }

    /// Does something that must not be done twice at a time; skips it where it is under way.
    pub(super) fn refreshing(&self, refresh: impl FnOnce()) {
        if !self.refreshing.swap(true, Ordering::Acquire) {
            refresh();
            self.refreshing.store(false, Ordering::Release);
        }
    }
}
