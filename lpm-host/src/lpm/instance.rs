//! An initialized LPM.

use std::sync::Arc;

use abi_stable::std_types::{RStr, RVec};
use lpm_abi::{
    AbiAddressRow, AbiAdmit, AbiAnswer, AbiCommit, AbiDecision, AbiDeinitialize, AbiDeleteState,
    AbiHandOver, AbiInitialized, AbiObjectsRequest, AbiReasons, AbiStatistics, Erased,
    ExtensionFunctions,
};
use lpm_api::{DeinitReason, HandOver, LpmHandle, LpmStatus, PeType};

use super::compatibility::{CheckedExtension, Incompatibility};
use super::error::{HandOverFailed, LpmError};
use super::isolated::process::Process;
use super::lpmapi::conduct::Conduct;
use super::module::LoadedModule;
use super::panics;
use super::wiped::Wiped;
use crate::initialized::InitializedLpm;
use crate::source::LpmSource;

/// One initialization of an LPM. Dropping it drops the LPM's object, before it lets go of the
/// library whose code does that.
pub(crate) struct Instance {
    lpm: Wiped<AbiInitialized>,
    name: Arc<str>,
    handle: LpmHandle,
    pe_type: PeType,
    source: LpmSource,
    statistics: CheckedExtension,
    reasons: CheckedExtension,
    hand_over: CheckedExtension,
    /// What its code is in; `None`: this program.
    library: Option<Arc<LoadedModule>>,
    /// What runs it, if not this process.
    process: Option<Arc<Process>>,
}

impl Instance {
    /// An LPM whose code is in `library`, or in this program; `Err` with the PE type where that is
    /// none.
    pub(crate) fn new(
        name: Arc<str>,
        handle: LpmHandle,
        initialized: AbiInitialized,
        source: LpmSource,
        library: Option<Arc<LoadedModule>>,
    ) -> Result<Self, u32> {
        let pe_type = initialized.pe_type();
        match u16::try_from(pe_type) {
            Ok(p_type) => Ok(Self {
                lpm: Wiped::new(initialized),
                name,
                handle,
                pe_type: PeType::new(p_type),
                source,
                statistics: CheckedExtension::default(),
                reasons: CheckedExtension::default(),
                hand_over: CheckedExtension::default(),
                library,
                process: None,
            }),
            Err(_) => Err(pe_type),
        }
    }

    /// The same, run by a process of its own.
    pub(crate) fn in_process(mut self, process: Arc<Process>) -> Self {
        self.process = Some(process);
        self
    }

    /// What runs it, if not this process.
    pub(crate) const fn process(&self) -> Option<&Arc<Process>> {
        self.process.as_ref()
    }

    /// Asks for decisions.
    pub(crate) fn admit(&self, request: &AbiAdmit<'_>) -> AbiAnswer {
        panics::during(Some(&self.name), || self.lpm.admit(request))
    }

    /// Asks for decisions in a [series of calls](super::under_way::Series), now for this LPM.
    #[inline]
    pub(crate) fn admit_in_series(&self, request: &AbiAdmit<'_>) -> AbiAnswer {
        self.lpm.admit(request)
    }

    /// What is known about it outside.
    pub(crate) fn about(&self) -> InitializedLpm {
        InitializedLpm {
            name: Arc::clone(&self.name),
            handle: self.handle,
            pe_type: self.pe_type,
            source: self.source.clone(),
        }
    }

    /// For one in C: whether it kept to its memory.
    pub(crate) fn conduct(&self) -> Option<&Arc<Conduct>> {
        let process = self.process.as_ref();
        match &self.library {
            Some(library) => library.conduct(),
            None => process.and_then(|process| process.conduct()),
        }
    }

    /// Tells its library if the host's `tracing` filters have changed; cheap where they have not.
    pub(crate) fn refresh_level(&self) {
        if let Some(library) = &self.library {
            library.refresh_level();
        }
        if let Some(process) = &self.process {
            process.refresh_level();
        }
    }

    /// Asks for POLICY_DATA objects.
    pub(crate) fn rsvp_objects(
        &self,
        request: &AbiObjectsRequest<'_>,
        objects: &mut RVec<u8>,
    ) -> AbiAnswer {
        panics::during(Some(&self.name), || {
            self.lpm.lpm().rsvp_objects(request, objects)
        })
    }

    /// Tells that resources were reserved.
    pub(crate) fn commit_resv(&self, commit: &AbiCommit<'_>) -> LpmStatus {
        LpmStatus(panics::during(Some(&self.name), || {
            self.lpm.lpm().commit_resv(commit)
        }))
    }

    /// Tells the addresses of the host.
    pub(crate) fn ip_address_table(&self, table: &[AbiAddressRow]) -> LpmStatus {
        LpmStatus(panics::during(Some(&self.name), || {
            self.lpm.lpm().ip_address_table(table.into())
        }))
    }

    /// Whether it offers counters, reasons, and to hand over state, each of the kind that is known
    /// here.
    pub(crate) fn offers(&self) -> (bool, bool, bool) {
        let statistics = self.extension::<AbiStatistics>(&self.statistics);
        let reasons = self.extension::<AbiReasons>(&self.reasons);
        let hand_over = self.extension::<AbiHandOver>(&self.hand_over);
        (
            matches!(statistics, Ok(Some(_))),
            matches!(reasons, Ok(Some(_))),
            matches!(hand_over, Ok(Some(_))),
        )
    }

    /// The LPM's counters, where it offers the extension; `Err` where it offers another of that
    /// name.
    pub(crate) fn statistics(&self) -> Result<Option<Vec<(String, u64)>>, Incompatibility> {
        let Some((lpm, functions)) = self.extension::<AbiStatistics>(&self.statistics)? else {
            return Ok(None);
        };
        // SAFETY: both come from the same extension.
        let counters = panics::during(Some(&self.name), || unsafe { functions.collect(lpm) });
        // Copied, since the texts are the library's memory.
        let counters = counters.iter();
        Ok(Some(
            counters
                .map(|counter| (String::from(counter.name.as_str()), counter.value))
                .collect(),
        ))
    }

    /// Why it made this decision on a flow, where it offers the extension; `Err` where it offers
    /// another of that name.
    pub(crate) fn explain(
        &self,
        request: &AbiAdmit<'_>,
        flow: u16,
        decision: AbiDecision,
    ) -> Result<Option<String>, Incompatibility> {
        let Some((lpm, functions)) = self.extension::<AbiReasons>(&self.reasons)? else {
            return Ok(None);
        };
        // SAFETY: both come from the same extension.
        let explain = || unsafe { functions.explain(lpm, request, flow, decision) };
        Ok(panics::during(Some(&self.name), explain))
    }

    /// What it leaves to the LPM that takes its place, where it offers the extension and has
    /// something: at most `limit` bytes.
    pub(crate) fn hand_over(&self, limit: u64) -> Result<Option<HandOver>, HandOverFailed> {
        let Some((lpm, functions)) = self.extension::<AbiHandOver>(&self.hand_over)? else {
            return Ok(None);
        };
        let mut state = RVec::new();
        // SAFETY: both come from the same extension.
        let give = || unsafe { functions.hand_over(lpm, limit, &mut state) };
        let Some(format) = panics::during(Some(&self.name), give).map_err(LpmError::from)? else {
            return Ok(None);
        };
        let found = state.len();
        if !u64::try_from(found).is_ok_and(|found| found <= limit) {
            return Err(HandOverFailed::TooLarge { found, limit });
        }
        // Copied, since it may be the library's memory.
        let bytes = state.to_vec();
        Ok(Some(HandOver { format, bytes }))
    }

    /// Gives it what its predecessor left.
    pub(crate) fn take_over(&self, state: &HandOver) -> Result<(), HandOverFailed> {
        let Some((lpm, functions)) = self.extension::<AbiHandOver>(&self.hand_over)? else {
            return Err(HandOverFailed::NotOffered);
        };
        // SAFETY: both come from the same extension.
        let take = || unsafe { functions.take_over(lpm, state.format, &state.bytes) };
        let taken = panics::during(Some(&self.name), take);
        taken.map_err(|failure| LpmError::from(failure).into())
    }

    /// The functions of an extension, and what to call them with, where the LPM offers it; `Err`
    /// where it offers another of that name.
    fn extension<F: ExtensionFunctions>(
        &self,
        checked: &CheckedExtension,
    ) -> Result<Option<(&Erased, &'static F)>, Incompatibility> {
        let id = RStr::from_str(F::ID);
        let extension = panics::during(Some(&self.name), || self.lpm.lpm().extension(id));
        let Some(extension) = extension.into_option() else {
            return Ok(None);
        };
        checked.check::<F>(extension.layout())?;
        // SAFETY: the line above compared the layouts, or has seen that they were.
        Ok(Some(unsafe { extension.functions::<F>() }))
    }

    /// Tells that state is gone.
    pub(crate) fn delete_state(&self, state: &AbiDeleteState<'_>) -> LpmStatus {
        LpmStatus(panics::during(Some(&self.name), || {
            self.lpm.lpm().delete_state(state)
        }))
    }

    /// Deinitializes the LPM and drops its object.
    pub(crate) fn deinitialize(mut self, reason: DeinitReason) -> Result<(), LpmError> {
        let reason = match reason {
            DeinitReason::Demotion => AbiDeinitialize::Demotion,
            DeinitReason::Reconfiguration => AbiDeinitialize::Reconfiguration,
            _ => AbiDeinitialize::Shutdown,
        };
        let done = panics::during(Some(&self.name), || self.lpm.deinitialize(reason));
        done.map_err(LpmError::from)
    }
}
