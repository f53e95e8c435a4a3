//! INTEGRITY as an option of POLICY_DATA (RFC 2750 §B): the policy of one object signed by the
//! policy node that made it, through hops that cannot read it.

use alloc::vec::Vec;

use super::message::{Algorithm, BEFORE_DIGEST, IntegrityError, Key, put};
use crate::build::error::BuildError;
use crate::build::policy::{self, policy_data_object};
use crate::build::writer::session_object;
use crate::class;
use crate::message::Message;
use crate::object::{HEADER, RawObject};
use crate::objects::{Integrity, Session};
use crate::policy::PolicyData;

/// Signs a POLICY_DATA for the session it will travel with: INTEGRITY becomes its first option.
///
/// `sequence` must be greater than in any object signed before with this key.
///
/// # Errors
/// The object is signed already, or cannot be built.
pub fn sign_policy_data(
    data: policy::PolicyData,
    session: &Session,
    key: &Key,
    sequence: u64,
) -> Result<policy::PolicyData, PolicyDataError> {
    if data.has_option(class::INTEGRITY) {
        return Err(IntegrityError::AlreadySigned.into());
    }
    let mut body = Vec::with_capacity(BEFORE_DIGEST);
    body.extend_from_slice(&key.id().to_be_bytes());
    body.extend_from_slice(&sequence.to_be_bytes());
    let content = body.len();
    body.resize(content.saturating_add(key.algorithm().digest_length()), 0);
    let unsigned = data.clone().first_option(class::INTEGRITY, 1, &body);
    let mut bytes = policy_data_object(&unsigned)?;
    bytes.extend_from_slice(&session_object(&session.with_flags(0)));
    let digest = key.digest(&[&bytes]);
    put(&mut body, content, &digest);
    Ok(data.first_option(class::INTEGRITY, 1, &body))
}

/// Checks that the digest in a POLICY_DATA of `message` is that of this key.
///
/// # Errors
/// The object has no INTEGRITY, one of another key, or is altered; the message has no SESSION.
pub fn verify_policy_data<'a>(
    message: &Message<'a>,
    data: &PolicyData<'a>,
    key: &Key,
) -> Result<Integrity<'a>, IntegrityError> {
    let option = data
        .options()
        .map_while(Result::ok)
        .find(|option| option.class == class::INTEGRITY)
        .ok_or(IntegrityError::Unsigned)?;
    let integrity: Integrity<'a> = option.read()?;
    key.check_id(integrity.key_id)?;
    let object = data.object();
    // Both offsets count from the start of the message.
    let at = usize::from(option.offset.saturating_sub(object.offset)).saturating_add(BEFORE_DIGEST);
    let mut signed = with_header(object);
    let zeros = [0; Algorithm::LONGEST];
    let zeros = zeros.get(..integrity.digest.len()).unwrap_or_default();
    put(&mut signed, at, zeros);
    let session = message
        .find(class::SESSION)
        .ok_or(IntegrityError::NoSession)?;
    let mut session = with_header(session);
    let flags = session.len().saturating_sub(3);
    put(&mut session, flags, &[0]);
    if key.verify(&[&signed, &session], integrity.digest) {
        Ok(integrity)
    } else {
        Err(IntegrityError::Digest)
    }
}

/// Why a POLICY_DATA cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyDataError {
    /// It is signed already.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// It does not fit into an object.
    #[error(transparent)]
    Build(#[from] BuildError),
}

fn with_header(object: RawObject<'_>) -> Vec<u8> {
    let length = HEADER.saturating_add(object.body.len());
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&crate::wire::clamp(length).to_be_bytes());
    bytes.extend_from_slice(&[object.class, object.c_type]);
    bytes.extend_from_slice(object.body);
    bytes
}
