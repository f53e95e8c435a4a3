//! Captures made by the tests, and runs of the program.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test includes it and uses its part"
)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header,
    SingleVlanHeader, UdpHeader, VlanId,
};

pub const SOURCE: [u8; 4] = [10, 0, 0, 7];
pub const DESTINATION: [u8; 4] = [10, 0, 0, 1];
pub const SOURCE6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
pub const DESTINATION6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// What `pcm` says of a library that nothing of its own keeps: some platforms unmap none.
pub const GONE: &str = if cfg!(any(
    windows,
    all(
        target_os = "linux",
        target_env = "gnu",
        target_pointer_width = "64"
    )
)) {
    "unmapped"
} else {
    "pinned"
};

pub const RSVP: u8 = 46;
pub const UDP: u8 = 17;

/// The time of the first packet: 2001-09-09T01:46:40Z.
pub const START: u32 = 1_000_000_000;

/// What a pcap file is like.
#[derive(Clone, Copy)]
pub struct Pcap {
    /// Seconds from packet to packet.
    pub interval: u32,
    pub big_endian: bool,
    pub nanoseconds: bool,
    pub link: u16,
}

impl Pcap {
    pub fn new(link: u16) -> Self {
        Self {
            interval: 1,
            big_endian: false,
            nanoseconds: false,
            link,
        }
    }

    /// A file of whole packets, each with the fraction 123456 (or 123456789 ns).
    pub fn file<P: AsRef<[u8]>>(self, packets: &[P]) -> Vec<u8> {
        let snapped: Vec<_> = packets.iter().map(|packet| (packet.as_ref(), 0)).collect();
        self.snapped(&snapped)
    }

    /// A file of packets of each of which so many bytes are missing.
    pub fn snapped(self, packets: &[(&[u8], u32)]) -> Vec<u8> {
        let magic = if self.nanoseconds {
            0xa1b2_3c4d_u32
        } else {
            0xa1b2_c3d4
        };
        let mut file = Vec::new();
        file.extend(self.u32(magic));
        file.extend(self.u16(2));
        file.extend(self.u16(4));
        for field in [0, 0, 65535, u32::from(self.link)] {
            file.extend(self.u32(field));
        }
        for (number, (packet, missing)) in (0..).zip(packets) {
            let captured = u32::try_from(packet.len()).unwrap();
            let fraction = if self.nanoseconds {
                123_456_789
            } else {
                123_456
            };
            for field in [
                START + number * self.interval,
                fraction,
                captured,
                captured + missing,
            ] {
                file.extend(self.u32(field));
            }
            file.extend_from_slice(packet);
        }
        file
    }

    fn u16(self, value: u16) -> [u8; 2] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }
}

/// Writes pcapng block by block.
pub struct PcapNg {
    pub big_endian: bool,
    pub file: Vec<u8>,
}

impl PcapNg {
    pub fn new(big_endian: bool) -> Self {
        let mut writer = Self {
            big_endian,
            file: Vec::new(),
        };
        writer.section();
        writer
    }

    pub fn section(&mut self) {
        let mut body = self.u32(0x1a2b_3c4d).to_vec();
        body.extend(self.u16(1));
        body.extend(self.u16(0));
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body);
    }

    pub fn interface(&mut self, link: u16, options: &[(u16, &[u8])]) {
        let mut body = self.u16(link).to_vec();
        body.extend(self.u16(0));
        body.extend(self.u32(0));
        for (code, value) in options {
            body.extend(self.u16(*code));
            body.extend(self.u16(u16::try_from(value.len()).unwrap()));
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            body.extend([0; 4]);
        }
        self.block(1, &body);
    }

    pub fn packet(&mut self, interface: u32, ticks: u64, packet: &[u8]) {
        let mut body = self.u32(interface).to_vec();
        let [high, low] =
            [ticks >> 32, ticks & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
        let length = u32::try_from(packet.len()).unwrap();
        for field in [high, low, length, length] {
            body.extend(self.u32(field));
        }
        body.extend_from_slice(packet);
        self.block(6, &body);
    }

    pub fn simple_packet(&mut self, packet: &[u8]) {
        let mut body = self.u32(u32::try_from(packet.len()).unwrap()).to_vec();
        body.extend_from_slice(packet);
        self.block(3, &body);
    }

    pub fn block(&mut self, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let length = u32::try_from(padded + 12).unwrap();
        self.file.extend(self.u32(kind));
        self.file.extend(self.u32(length));
        self.file.extend_from_slice(body);
        self.file.resize(self.file.len() + padded - body.len(), 0);
        self.file.extend(self.u32(length));
    }

    fn u16(&self, value: u16) -> [u8; 2] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn u32(&self, value: u32) -> [u8; 4] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }
}

pub fn ethernet(ether_type: EtherType, payload: &[u8]) -> Vec<u8> {
    let header = Ethernet2Header {
        source: [2; 6],
        destination: [4; 6],
        ether_type,
    };
    [&header.to_bytes(), payload].concat()
}

pub fn vlan(id: u16, ether_type: EtherType, payload: &[u8]) -> Vec<u8> {
    let header = SingleVlanHeader {
        vlan_id: VlanId::try_new(id).unwrap(),
        ether_type,
        ..SingleVlanHeader::default()
    };
    [&header.to_bytes(), payload].concat()
}

pub fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let header = Ipv4Header::new(length, 64, IpNumber(protocol), SOURCE, DESTINATION).unwrap();
    [&header.to_bytes(), payload].concat()
}

/// The fragment of a datagram that starts at byte `offset` of the payload.
pub fn ipv4_fragment(id: u16, protocol: u8, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut header = Ipv4Header::new(length, 64, IpNumber(protocol), SOURCE, DESTINATION).unwrap();
    header.identification = id;
    header.fragment_offset = fragment_offset(offset);
    header.more_fragments = more;
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes(), payload].concat()
}

/// `next` is the protocol of the first header in `payload`.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: u16::try_from(payload.len()).unwrap(),
        next_header: IpNumber(next),
        hop_limit: 64,
        source: SOURCE6,
        destination: DESTINATION6,
        ..Ipv6Header::default()
    };
    [&header.to_bytes(), payload].concat()
}

pub fn ipv6_fragment(id: u32, next: u8, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6FragmentHeader::new(IpNumber(next), fragment_offset(offset), more, id);
    ipv6(44, &[&header.to_bytes(), payload].concat())
}

/// An extension header of 8 bytes, only padding in it, for hop-by-hop and destination options.
pub fn ipv6_options(next: u8, payload: &[u8]) -> Vec<u8> {
    [&[next, 0, 1, 4, 0, 0, 0, 0], payload].concat()
}

pub fn udp(destination: u16, payload: &[u8]) -> Vec<u8> {
    let header = UdpHeader::without_ipv4_checksum(40000, destination, payload.len()).unwrap();
    [&header.to_bytes(), payload].concat()
}

fn fragment_offset(bytes: usize) -> IpFragOffset {
    IpFragOffset::try_new(u16::try_from(bytes / 8).unwrap()).unwrap()
}

/// Waits for what `probe` finds, for longer than any machine takes.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(300);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "never seen: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A folder with a configuration `pcm.toml`: the sample LPM, an optional one that is not there, and
/// these tables.
pub fn configured(tables: &str) -> TempDir {
    let absent = "[[lpm]]\nname = 'absent'\nlibrary = 'not-there.so'\noptional = true\n";
    configured_with(lpm_sample::DEMO_POLICY, &format!("{absent}{tables}"))
}

/// A folder with a configuration `pcm.toml`: the sample LPM, called `identity`, with this policy,
/// and these tables.
pub fn configured_with(policy: &str, tables: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[lpm]]\nname = 'identity'\nlibrary = {:?}\nconfig = {policy:?}\n{tables}",
        sample_library(),
    );
    fs::write(folder.path().join("pcm.toml"), text).unwrap();
    folder
}

/// The library of the identity LPM, where cargo puts it.
pub fn sample_library() -> PathBuf {
    let file = lpm_fixtures::file_name("lpm-sample");
    let program = Path::new(env!("CARGO_BIN_EXE_pcm"));
    program.parent().unwrap().join("deps").join(file)
}

/// Files in `folder` that are no libraries, and what is said about each.
pub fn no_libraries(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let file = |name: &str, contents: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, contents).unwrap();
        path
    };
    let mut files = vec![
        (file("empty", b""), "it is empty"),
        (folder.join("absent"), "cannot read"),
        (folder.to_path_buf(), "is a directory"),
    ];
    if cfg!(target_os = "linux") {
        let whole = fs::read(lpm_fixtures::library("accepts")).unwrap();
        files.push((file("cut", &whole[..whole.len() / 2]), "cut off"));
        files.push((file("text", b"not a library"), "does not begin like"));
        files.push((std::env::current_exe().unwrap(), "a program"));
    }
    files
}

/// Decides the demo capture with the configuration in `folder` and JSON output.
pub fn replay(folder: &TempDir) -> Run {
    let config = folder.path().join("pcm.toml");
    let config = config.to_str().unwrap();
    pcm(&[
        "replay",
        "--format",
        "json",
        "--config",
        config,
        office().to_str().unwrap(),
    ])
}

/// The demo capture.
pub fn office() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/office.pcap")
}

/// How a run of the program ended.
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn json(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    /// The names of the events of a run with JSON output, sorted.
    pub fn events(&self) -> Vec<String> {
        let events = self.records("event");
        let mut names: Vec<_> = events
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect();
        names.sort_unstable();
        assert!(names.len() > 5, "{names:?}");
        names
    }

    pub fn records(&self, kind: &'static str) -> impl Iterator<Item = Value> {
        self.json()
            .into_iter()
            .filter(move |record| record["type"] == kind)
    }
}

/// Runs `pcm` with nothing on standard input.
pub fn pcm(arguments: &[&str]) -> Run {
    pcm_with_input(arguments, b"")
}

/// Runs the program in this folder.
pub fn pcm_in(folder: &Path, arguments: &[&str]) -> Run {
    finish(command(arguments).current_dir(folder).spawn().unwrap())
}

pub fn pcm_with_input(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = command(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end without reading all.
    let _ = stdin.write_all(input);
    drop(stdin);
    finish(child)
}

/// Starts `pcm`.
pub fn spawn(arguments: &[&str]) -> Child {
    command(arguments).spawn().unwrap()
}

/// Runs `pcm` with standard output going to a file.
pub fn pcm_into(path: &str, arguments: &[&str]) -> Run {
    let out = File::options().write(true).open(path).unwrap();
    finish(
        command(arguments)
            .stdin(Stdio::null())
            .stdout(out)
            .spawn()
            .unwrap(),
    )
}

/// Runs `pcm`, and closes its standard output after the first line.
pub fn pcm_until_first_line(arguments: &[&str]) -> (String, Run) {
    let mut child = command(arguments).stdin(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (line, finish(child))
}

/// Runs `pcm` with JSON output and `input` on a standard input that stays open, and sends it a
/// signal once it has decided something.
#[cfg(unix)]
pub fn pcm_stopped_by(signal: &str, arguments: &[&str], input: &[u8]) -> Run {
    let mut child = command(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut stdout = String::new();
    while !stdout.contains("\"type\":\"decision\"") {
        assert_ne!(
            out.read_line(&mut stdout).unwrap(),
            0,
            "ended early: {stdout}"
        );
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .unwrap()
            .success()
    );
    out.read_to_string(&mut stdout).unwrap();
    Run {
        stdout,
        ..finish(child)
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pcm"));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("CLICOLOR_FORCE")
        .env_remove("NO_COLOR");
    command
}

/// Waits for the end.
pub fn finish(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        status: output.status.code().expect("ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
