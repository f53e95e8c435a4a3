//! A directory server that says what a test wants it to, down to the bytes.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub struct FakeLdap {
    pub port: u16,
    /// How many connections there were.
    pub connections: Arc<AtomicUsize>,
}

/// A search that the server is asked for.
pub struct Search {
    pub id: u8,
    id_bytes: Vec<u8>,
    pub base: String,
    /// As it is on the wire.
    pub rest: Vec<u8>,
}

impl Search {
    /// Whether it is for a user, not for policies.
    pub fn is_for_user(&self) -> bool {
        self.base.contains("ou=people")
    }

    /// Whether this text is in the filter.
    pub fn is_about(&self, text: &str) -> bool {
        self.rest
            .windows(text.len())
            .any(|it| it == text.as_bytes())
    }

    pub fn message(&self, operation: &[u8]) -> Vec<u8> {
        element(0x30, &[&element(0x02, &self.id_bytes), operation].concat())
    }

    pub fn entry(&self, dn: &str, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
        let attributes: Vec<u8> = attributes
            .iter()
            .flat_map(|(name, values)| {
                let values: Vec<u8> = values.iter().flat_map(|it| element(0x04, it)).collect();
                element(
                    0x30,
                    &[element(0x04, name.as_bytes()), element(0x31, &values)].concat(),
                )
            })
            .collect();
        let parts = [element(0x04, dn.as_bytes()), element(0x30, &attributes)].concat();
        self.message(&element(0x64, &parts))
    }

    pub fn done(&self, code: u8) -> Vec<u8> {
        self.message(&element(0x65, &result(code)))
    }

    pub fn reference(&self) -> Vec<u8> {
        self.message(&element(0x73, &element(0x04, b"ldap://elsewhere/o=office")))
    }

    /// What an honest server has of a user: an entry, and a policy with this priority.
    pub fn honest(&self, name: &str, priority: &str) -> Vec<u8> {
        let entry = if self.is_for_user() {
            self.entry(&format!("uid={name},ou=people,o=office"), &[])
        } else {
            let values: [(&str, &[&[u8]]); 2] = [
                ("aCSIdentityName", &[name.as_bytes()]),
                ("aCSPriority", &[priority.as_bytes()]),
            ];
            self.entry(&format!("cn={name},ou=acs,o=office"), &values)
        };
        [entry, self.done(0)].concat()
    }
}

/// An element in BER.
pub fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x84][..], &length, contents].concat()
}

fn result(code: u8) -> Vec<u8> {
    [
        element(0x0a, &[code]),
        element(0x04, b""),
        element(0x04, b""),
    ]
    .concat()
}

impl FakeLdap {
    /// A server that answers searches so; nothing is answered with, and the connection is closed,
    /// where that is `None`.
    pub fn start(answer: impl Fn(&Search) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, connections) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = Arc::clone(&answer);
                thread::spawn(move || serve(stream, &*answer));
            }
        });
        Self { port, connections }
    }

    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(&Search) -> Option<Vec<u8>> + Send + Sync + 'static + ?Sized),
) -> Option<()> {
    loop {
        let (_, message) = read_element(&mut stream)?;
        let mut rest = &message[..];
        let (_, id) = read_element(&mut rest)?;
        let (operation, contents) = read_element(&mut rest)?;
        let message = |operation: &[u8]| element(0x30, &[&element(0x02, &id), operation].concat());
        match operation {
            0x60 => stream
                .write_all(&message(&element(0x61, &result(0))))
                .ok()?,
            0x63 => {
                let mut parts = &contents[..];
                let (_, base) = read_element(&mut parts)?;
                let search = Search {
                    id: *id.last()?,
                    id_bytes: id.clone(),
                    base: String::from_utf8_lossy(&base).to_lowercase(),
                    rest: parts.to_vec(),
                };
                stream.write_all(&answer(&search)?).ok()?;
            }
            _ => return None,
        }
    }
}

fn read_element(from: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 2];
    from.read_exact(&mut header).ok()?;
    let mut length = usize::from(header[1]);
    if header[1] >= 0x80 {
        let mut digits = vec![0; usize::from(header[1] & 0x7f)];
        from.read_exact(&mut digits).ok()?;
        length = digits
            .iter()
            .fold(0, |length, it| length << 8 | usize::from(*it));
    }
    let mut contents = vec![0; length];
    from.read_exact(&mut contents).ok()?;
    Some((header[0], contents))
}
