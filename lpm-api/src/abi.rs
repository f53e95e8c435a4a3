//! The LPM's side of the [ABI](lpm_abi): an [`Lpm`](crate::Lpm) behind functions that never unwind.
//!
//! LPM authors never touch this module: [`export_lpm!`](crate::export_lpm) fills it in. PCMs use
//! it through `lpm-host`.

mod adapter;
mod attach;
mod caught;
mod export;
pub mod extension;
mod failure;
mod instance;
mod level;
pub(crate) mod message;
mod panic_report;
mod root;
mod trace;

// What `export_lpm!` names: abi_stable's header in front of the module, and extensions.
pub use abi_stable::library::LibHeader;
pub use lpm_abi::AbiExtension;

pub use self::export::{Export, Package};
pub use self::level::{level_filter, level_number};
pub use self::message::{abi_message, commit_resv, delete_state, message};
pub use self::root::{LPM_API_VERSION, header, module};
