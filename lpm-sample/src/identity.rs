//! Who asks: from the AUTH_USER and AUTH_APP elements of a message to one subject of the policy.
//!
//! # Which identity wins
//!
//! A message may carry several identities (RFC 3182 section 6.1). For one flow, those count whose
//! POLICY_DATA object is about it: about all flows of the session, or by its FILTER_SPEC or SCOPE
//! options about a sender of this flow (RFC 2750 section 3.2). Among them
//!
//! 1. the first listed user wins,
//! 2. else the first listed application,
//! 3. else the first user who is not listed, or application where there is no such user,
//! 4. else the request is unauthenticated.
//!
//! An LPM that looks users up elsewhere, as `lpm-identity` does in a directory, has the name of a
//! user of the third kind in [`Identified::unlisted_user`].
//!
//! A user comes before an application since anybody can claim to be one. For the same reason an
//! application does not count beside a user who cannot be verified (RFC 2872 section 3).
//!
//! Within one element the policy locator (the DN) is looked up first, then the credential (the
//! ID): the locator is there to find the policy, and on its way the credential may have become
//! that of a node, not of the user (RFC 3182 section 5).
//!
//! # Who is believed
//!
//! The caller says which credentials are accepted. This LPM takes `ASCII_ID` and `UNICODE_ID` at
//! their word, and a DN in clear text without a credential ([`simple`]): RFC 3182 section 4.1 calls
//! this simple authentication, good for networks whose hosts are trusted.
//!
//! An element with a credential that is not accepted names nobody, whatever else is in it; so does
//! one with an encrypted DN or an attribute that is newer than RFC 3182, and one without any name.
//! Tickets and certificates that are accepted are not verified: the name is that of the DN beside
//! them. Digital signatures are not looked at.
//!
//! Every message stands for itself: a refresh that leaves out the identities of the message before
//! is unauthenticated.
//!
//! # What is malformed
//!
//! Attributes that overrun their element, a text that cannot be decoded, a locator that is no DN:
//! whoever sends this cannot be told from somebody else, and every flow that the POLICY_DATA is
//! about is rejected as [`LpmPolicyError::UnknownUser`](lpm_api::LpmPolicyError::UnknownUser),
//! even where another element is sound.

use lpm_api::Name;
use lpm_api::lpm_rsvp::policy::p_type::{AUTH_APP, AUTH_USER, PREEMPTION_PRI};
use lpm_api::lpm_rsvp::policy::{RawElement, TextEncoding};
use lpm_api::lpm_rsvp::{
    Attribute, Credential, FilterSpec, Identity, Locator, Message, PolicyData, PolicyElement, Text,
};
use smallvec::SmallVec;

use crate::listed::Listed;

/// Whom a request is decided for, and whose flow it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A listed user: its place in the policy.
    User(usize),
    /// A listed application: its place in the policy.
    Application(usize),
    /// Somebody with a name that is not listed. Users and applications are not told apart, nor
    /// DNs and IDs: the same name is the same subject.
    Unlisted(Box<Name>),
    /// Nobody in particular.
    Unauthenticated,
}

/// The name of a user, by which it can be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UserName {
    /// A DN, canonical.
    Dn(Name),
    /// An ID, canonical.
    Id(Name),
}

/// An identity that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The identities of a message, each looked up in the policy once.
#[derive(Debug)]
pub struct Identities<'a> {
    objects: SmallVec<[(PolicyData<'a>, Claims); 1]>,
    /// There is a POLICY_DATA object that cannot be read, so nobody knows what it is about.
    malformed: bool,
}

impl<'a> Identities<'a> {
    /// Reads the identities of a message. `believes` is asked about each credential; without one,
    /// about an element that has a DN alone.
    pub fn of(
        message: &Message<'a>,
        believes: impl Fn(Option<&Credential<'_>>) -> bool,
        users: &Listed,
        applications: &Listed,
    ) -> Self {
        let reader = Reader {
            believes,
            users,
            applications,
        };
        let mut identities = Identities {
            objects: SmallVec::new(),
            malformed: false,
        };
        for data in message.policy_data() {
            match data {
                Ok(data) => identities.objects.push((data, reader.claims(&data))),
                Err(_) => identities.malformed = true,
            }
        }
        identities
    }

    /// The subject of a flow with these senders; without senders, as in the wildcard style, every
    /// identity of the message counts.
    ///
    /// # Errors
    /// One of the identities for this flow cannot be read.
    pub fn subject(
        &self,
        senders: impl Iterator<Item = FilterSpec> + Clone,
    ) -> Result<Identified, Malformed> {
        let mut all = Claims {
            malformed: self.malformed,
            ..Claims::default()
        };
        for (data, claims) in &self.objects {
            match data.is_about(senders.clone()) {
                Ok(true) => all.add_all(claims),
                Ok(false) => {}
                Err(_) => return Err(Malformed),
            }
        }
        all.identified()
    }
}

/// Whether this is simple authentication: a name that is taken at its word.
#[must_use]
pub fn simple(credential: Option<&Credential<'_>>) -> bool {
    use Credential::{AsciiId, UnicodeId};
    matches!(credential, None | Some(AsciiId(_) | UnicodeId(_)))
}

/// Who asks for a flow, and with what priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// Who asks.
    pub subject: Subject,
    /// The name to look up elsewhere: that of a user who is not listed, where no listed application
    /// counts instead.
    pub unlisted_user: Option<Box<UserName>>,
    /// The preemption priority of the first PREEMPTION_PRI element about the flow (RFC 3181).
    pub preemption_priority: Option<u16>,
}

/// What some identities amount to.
#[derive(Clone, Debug, Default)]
struct Claims {
    user: Option<usize>,
    application: Option<usize>,
    unlisted_user: Option<Box<UserName>>,
    unlisted_application: Option<Box<Name>>,
    unverified_user: bool,
    malformed: bool,
    preemption_priority: Option<u16>,
}

/// Reads elements, and finds out whose they are.
struct Reader<'a, B> {
    believes: B,
    users: &'a Listed,
    applications: &'a Listed,
}

impl<B: Fn(Option<&Credential<'_>>) -> bool> Reader<'_, B> {
    fn claims(&self, data: &PolicyData<'_>) -> Claims {
        let mut claims = Claims::default();
        for element in data.raw_elements() {
            let added = element
                .map_err(|_| Malformed)
                .and_then(|it| self.add_element(&mut claims, it));
            claims.malformed |= added.is_err();
        }
        claims
    }

    fn add_element(&self, claims: &mut Claims, element: RawElement<'_>) -> Result<(), Malformed> {
        if element.p_type == PREEMPTION_PRI {
            if let Ok(PolicyElement::PreemptionPriority(asked)) = element.read() {
                set_first(
                    &mut claims.preemption_priority,
                    Some(asked.preemption_priority),
                );
            }
        }
        if !matches!(element.p_type, AUTH_USER | AUTH_APP) {
            // What is wrong with other elements is the business of those who use them; a priority
            // that cannot be read is one that nobody asks for.
            return Ok(());
        }
        match element.read().map_err(|_| Malformed)? {
            PolicyElement::AuthUser(user) => self.add_user(claims, &user),
            PolicyElement::AuthApp(application) => self.add_application(claims, &application),
            _ => Ok(()),
        }
    }

    fn add_user(&self, claims: &mut Claims, identity: &Identity<'_>) -> Result<(), Malformed> {
        let names = Names::of(identity, &self.believes, self.users)?;
        if !names.believed {
            claims.unverified_user = true;
        } else if let Some(user) = names.find(self.users, Listed::with_dn) {
            claims.user.get_or_insert(user);
        } else {
            set_first(&mut claims.unlisted_user, names.user().map(Box::new));
        }
        Ok(())
    }

    fn add_application(
        &self,
        claims: &mut Claims,
        identity: &Identity<'_>,
    ) -> Result<(), Malformed> {
        let names = Names::of(identity, &self.believes, self.applications)?;
        if names.believed {
            if let Some(application) = names.find(self.applications, Listed::covering_dn) {
                claims.application.get_or_insert(application);
            } else {
                let name = match names.dn {
                    Some(dn) => Some(dn),
                    None => names.id(),
                };
                set_first(&mut claims.unlisted_application, name.map(Box::new));
            }
        }
        Ok(())
    }
}

impl Claims {
    fn add_all(&mut self, later: &Self) {
        self.user = self.user.or(later.user);
        self.application = self.application.or(later.application);
        set_first(&mut self.unlisted_user, later.unlisted_user.clone());
        let application = later.unlisted_application.clone();
        set_first(&mut self.unlisted_application, application);
        self.preemption_priority = self.preemption_priority.or(later.preemption_priority);
        self.unverified_user |= later.unverified_user;
        self.malformed |= later.malformed;
    }

    fn identified(self) -> Result<Identified, Malformed> {
        if self.malformed {
            return Err(Malformed);
        }
        let trust_application = !self.unverified_user;
        let mut unlisted_user = None;
        let subject = if let Some(user) = self.user {
            Subject::User(user)
        } else if let Some(application) = self.application.filter(|_| trust_application) {
            Subject::Application(application)
        } else if let Some(user) = self.unlisted_user {
            let (UserName::Dn(name) | UserName::Id(name)) = &*user;
            let subject = Subject::Unlisted(Box::new(name.clone()));
            unlisted_user = Some(user);
            subject
        } else if let Some(name) = self.unlisted_application.filter(|_| trust_application) {
            Subject::Unlisted(name)
        } else {
            Subject::Unauthenticated
        };
        Ok(Identified {
            subject,
            unlisted_user,
            preemption_priority: self.preemption_priority,
        })
    }
}

/// The names in one element, the DN canonical; a name of nothing is none.
#[derive(Debug)]
struct Names<'a> {
    /// Who has the DN, if it is written as in the policy; then there is no other.
    listed: Option<usize>,
    dn: Option<Name>,
    /// As it stands there: where the DN is listed, nobody asks for it.
    id: Option<Text<'a>>,
    believed: bool,
}

impl<'a> Names<'a> {
    fn of(
        identity: &Identity<'a>,
        believes: impl Fn(Option<&Credential<'_>>) -> bool,
        listed: &Listed,
    ) -> Result<Self, Malformed> {
        let mut names = Self {
            listed: None,
            dn: None,
            id: None,
            believed: true,
        };
        let mut has_credential = false;
        let mut decoded = Decoded::new();
        for attribute in identity.attributes() {
            match attribute.map_err(|_| Malformed)? {
                Attribute::PolicyLocator(Locator::Name(dn)) => {
                    let is_first = names.listed.is_none() && names.dn.is_none();
                    if is_first && dn.encoding() == TextEncoding::Ascii {
                        names.listed = listed.with_written_dn(dn.as_bytes());
                        if names.listed.is_some() {
                            continue;
                        }
                    }
                    let name = Name::dn(utf8(&dn, &mut decoded)?).map_err(|_| Malformed)?;
                    if is_first && !name.is_empty() {
                        names.dn = Some(name);
                    }
                }
                Attribute::PolicyLocator(_) => names.believed = false,
                Attribute::Credential(credential) => {
                    has_credential = true;
                    names.believed &= believes(Some(&credential));
                    if let Credential::AsciiId(id) | Credential::UnicodeId(id) = credential {
                        let is_empty = Name::is_empty_id(utf8(&id, &mut decoded)?);
                        set_first(&mut names.id, Some(id).filter(|_| !is_empty));
                    }
                }
                _ => {}
            }
        }
        names.believed &= has_credential || believes(None);
        Ok(names)
    }

    fn find(
        &self,
        listed: &Listed,
        with_dn: impl Fn(&Listed, &Name) -> Option<usize>,
    ) -> Option<usize> {
        let by_dn = || self.dn.as_ref().and_then(|dn| with_dn(listed, dn));
        let by_id = || listed.with_id(&self.id()?);
        self.listed.or_else(by_dn).or_else(by_id)
    }

    fn user(self) -> Option<UserName> {
        match self.dn {
            Some(dn) => Some(UserName::Dn(dn)),
            None => self.id().map(UserName::Id),
        }
    }

    /// The ID, canonical.
    fn id(&self) -> Option<Name> {
        let text = self.id.as_ref()?;
        Some(Name::id(utf8(text, &mut Decoded::new()).ok()?))
    }
}

/// Room for a name decoded from UTF-16; a longer one is put on the heap.
type Decoded = SmallVec<[u8; 256]>;

/// The text in UTF-8, where it stands or in `decoded`, if all of it can be decoded.
fn utf8<'a>(text: &Text<'a>, decoded: &'a mut Decoded) -> Result<&'a str, Malformed> {
    if text.encoding() == TextEncoding::Ascii {
        return text.as_str().ok_or(Malformed);
    }
    decoded.clear();
    for c in text.chars() {
        if c == char::REPLACEMENT_CHARACTER {
            return Err(Malformed);
        }
        decoded.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    std::str::from_utf8(decoded).map_err(|_| Malformed)
}

fn set_first<N>(name: &mut Option<N>, candidate: Option<N>) {
    if name.is_none() {
        *name = candidate;
    }
}
