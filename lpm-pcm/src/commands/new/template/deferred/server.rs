//! A server to try the LPM with: it knows everybody but Grace.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:7171")?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut user = String::new();
        BufReader::new(&stream).read_line(&mut user)?;
        let answer = if user.contains("Grace") { "no" } else { "yes" };
        writeln!(stream, "{answer}")?;
    }
    Ok(())
}
