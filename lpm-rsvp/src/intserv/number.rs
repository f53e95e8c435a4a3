//! Service and parameter numbers (RFC 2210, 2212, 2215, 2997).

/// Service 1: default and global values.
pub const GENERAL: u8 = 1;
/// Service 2: guaranteed (RFC 2212).
pub const GUARANTEED: u8 = 2;
/// Service 5: controlled load (RFC 2211).
pub const CONTROLLED_LOAD: u8 = 5;
/// Service 6: null (RFC 2997).
pub const NULL: u8 = 6;
/// Parameter 4: number of IntServ hops, composed.
pub const IS_HOPS: u8 = 4;
/// Parameter 6: available path bandwidth in bytes/s, composed.
pub const PATH_BANDWIDTH: u8 = 6;
/// Parameter 8: minimum path latency in microseconds, composed.
pub const MINIMUM_LATENCY: u8 = 8;
/// Parameter 10: path MTU in bytes, composed.
pub const PATH_MTU: u8 = 10;
/// Parameter 127: token bucket Tspec.
pub const TOKEN_BUCKET_TSPEC: u8 = 127;
/// Parameter 128 of the null service: maximum packet size.
pub const NULL_TSPEC: u8 = 128;
/// Parameter 130 of the guaranteed service: RSpec.
pub const GUARANTEED_RSPEC: u8 = 130;
/// Parameter 133 of the guaranteed service: Ctot in bytes.
pub const C_TOT: u8 = 133;
/// Parameter 134 of the guaranteed service: Dtot in microseconds.
pub const D_TOT: u8 = 134;
/// Parameter 135 of the guaranteed service: Csum in bytes.
pub const C_SUM: u8 = 135;
/// Parameter 136 of the guaranteed service: Dsum in microseconds.
pub const D_SUM: u8 = 136;
