//! The record of what is decided on a flow.

use std::fmt::{self, Display};

use lpm_api::LpmPolicyError;
use lpm_host::Outcome;
use lpm_rsvp::FilterSpec;
use lpm_sbm::{PathState, Refusal, Resources};
use serde::Serialize;
use smallvec::SmallVec;

use super::asked::Asked;
use super::texts::{as_list_if_any, as_name};

/// The decision on one flow descriptor of a message.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FlowRecord<'a> {
    /// Its position in the message, from 0.
    pub index: u16,
    /// Its senders: one, several (SE style), or none for a wildcard (WF style). In JSON a text such
    /// as `10.0.0.7:4000`, in which several are separated by `, `, or `null`.
    #[serde(rename = "filter", serialize_with = "as_list_if_any")]
    pub senders: SmallVec<[FilterSpec; 1]>,
    /// What it asks for.
    pub asked: Option<Asked<'a>>,
    /// The LPM priority value: 1 to 65280 accepted with this priority, 65533 drop the message,
    /// 65534 don't care, 65535 reject.
    pub lpv: u32,
    /// `accept`, `reject`, `drop` or `dont_care`.
    #[serde(serialize_with = "as_name")]
    pub outcome: Outcome,
    /// The ERROR_SPEC's error code of a rejection (RFC 2205, appendix B), else 0.
    pub error_code: u16,
    /// The ERROR_SPEC's error value of a rejection, else 0.
    pub error_value: u16,
    /// The name of the LPM whose decision it is; `None` when no LPM had an opinion.
    pub by: Option<&'a str>,
    /// Who refuses: `policy`, or `sbm` what policy has accepted.
    pub refused_by: Option<RefusedBy>,
    /// What became of the resources that an accepted Resv asks for: `allocated`, `modified`,
    /// `unchanged`, `refused_in_place`, `refused`.
    pub resources: Option<Resources>,
    /// Whether a Resv has the Path state that it answers: `known`, `no_path`, `no_sender`.
    pub path: Option<PathState>,
    /// The error, or what else there is to say, in words, for people.
    #[serde(skip)]
    pub reason: Option<Reason>,
    /// Why, in the words of the LPM whose decision it is, where it was asked.
    pub why: Option<String>,
}

/// Who refuses a flow. Serialized in snake_case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusedBy {
    /// The LPMs.
    Policy,
    /// The SBM.
    Sbm,
}

/// Why a flow is refused, or what it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// What the SBM says.
    Sbm(Refusal),
    /// What policy says.
    Policy(LpmPolicyError),
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sbm(refusal) => refusal.fmt(f),
            Self::Policy(error) => error.fmt(f),
        }
    }
}
