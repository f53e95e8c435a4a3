//! Each kind of difference, and how it reads.
// The types that are compared are never made.
#![allow(dead_code)]

use abi_stable::StableAbi;

use super::super::compare;
use super::{Difference, one_line, telling};

/// Types that cross a boundary, in a module of their own for each version of them.
macro_rules! version {
    (
        $version:ident: $verdict:tt, Interface { $($field:ident: $of:ident),* },
        bytes: $byte:ident, admit($($parameter:ident: $takes:ident),*) -> $result:ident
    ) => {
        mod $version {
            use abi_stable::StableAbi;
            use abi_stable::std_types::RSlice;

            #[repr(C)]
            #[derive(StableAbi)]
            pub(super) struct Interface {
                $($field: $of,)*
            }

            #[repr(C)]
            #[derive(StableAbi)]
            pub(super) struct Call {
                interface: Interface,
                bytes: RSlice<'static, $byte>,
            }

            #[repr(u8)]
            #[derive(StableAbi)]
            pub(super) enum Verdict $verdict

            #[repr(C)]
            #[derive(StableAbi)]
            pub(super) struct Functions {
                admit: extern "C" fn($($parameter: $takes),*) -> $result,
            }
        }
    };
}

version!(
    ours: { Accept, Reject }, Interface { index: u32, family: u32 },
    bytes: u8, admit(call: Call) -> Verdict
);
version!(
    other_order: { Reject, Accept }, Interface { family: u32, index: u32 },
    bytes: u8, admit(call: Call) -> Verdict
);
version!(
    other_type: { Accept, Reject }, Interface { index: u64, family: u32 },
    bytes: u8, admit(call: Call) -> Verdict
);
version!(
    one_more: { Accept, Reject, Drop }, Interface { index: u32, family: u32, zone: u32 },
    bytes: u8, admit(call: Call) -> Verdict
);
version!(
    other_items: { Accept, Reject }, Interface { index: u32, family: u32 },
    bytes: u16, admit(call: Call) -> Verdict
);
version!(
    other_parameter: { Accept, Reject }, Interface { index: u32, family: u32 },
    bytes: u8, admit(call: Interface) -> Verdict
);
version!(
    other_parameters: { Accept, Reject }, Interface { index: u32, family: u32 },
    bytes: u8, admit(call: Call, flags: u32) -> Verdict
);
version!(
    other_result: { Accept, Reject }, Interface { index: u32, family: u32 },
    bytes: u8, admit(call: Call) -> u64
);

fn difference<Expected: StableAbi, Found: StableAbi>() -> String {
    let errors = compare(Expected::LAYOUT, Found::LAYOUT).expect_err("they differ");
    let difference = telling(&errors);
    let Difference {
        what,
        expected,
        found,
    } = difference;
    format!("{what}: expected {expected}, found {found}")
}

#[test]
fn fields_are_named_with_their_type_and_their_function() {
    assert_eq!(
        difference::<ours::Functions, other_order::Functions>(),
        "field `index` of `Interface` (in function `admit`): expected `index: u32`, found `family: u32`"
    );
    assert_eq!(
        difference::<ours::Interface, other_order::Interface>(),
        "field `index` of `Interface`: expected `index: u32`, found `family: u32`"
    );
    assert_eq!(
        difference::<ours::Functions, other_type::Functions>(),
        "type of field `index` of `Interface` (in function `admit`): expected `u32`, found `u64`"
    );
    assert_eq!(
        difference::<ours::Functions, one_more::Functions>(),
        "fields of `Interface` (in function `admit`): expected `index, family`, found `index, family, zone`"
    );
}

#[test]
fn types_of_other_crates_are_not_taken_apart() {
    assert_eq!(
        difference::<ours::Call, other_items::Call>(),
        "type of field `bytes` of `Call`: expected `RSlice<'a>` with `u8`, found `RSlice<'a>` with `u16`"
    );
}

#[test]
fn variants_are_named() {
    assert_eq!(
        difference::<ours::Verdict, other_order::Verdict>(),
        "variant `Accept` of `Verdict`: expected `Accept`, found `Reject`"
    );
    assert_eq!(
        difference::<ours::Verdict, one_more::Verdict>(),
        "number of variants of `Verdict`: expected 2, found 3"
    );
}

#[test]
fn functions_are_named_with_their_signature() {
    assert_eq!(
        difference::<ours::Functions, other_parameters::Functions>(),
        "function `admit`: expected `fn(call: Call) -> Verdict`, found `fn(call: Call, flags: u32) -> Verdict`"
    );
    assert_eq!(
        difference::<ours::Functions, other_parameter::Functions>(),
        "function `admit`: expected `fn(call: Call) -> Verdict`, found `fn(call: Interface) -> Verdict`"
    );
    assert_eq!(
        difference::<ours::Functions, other_result::Functions>(),
        "function `admit`: expected `fn(call: Call) -> Verdict`, found `fn(call: Call) -> u64`"
    );
}

#[test]
fn what_is_long_is_cut() {
    assert_eq!(one_line(" a\n  b\t"), "a b");
    let long = one_line(&"ü".repeat(1000));
    assert_eq!(long.chars().count(), 161);
}
