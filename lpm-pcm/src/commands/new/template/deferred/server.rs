//! A server to try the LPM with: it knows everybody but Grace.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:7171")?;
    for stream in listener.incoming() {
        // One who goes away does not keep others from their answers.
        if let Err(error) = stream.and_then(answer) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut user = String::new();
    BufReader::new(&stream).read_line(&mut user)?;
    let answer = if user.contains("Grace") { "no" } else { "yes" };
    writeln!(stream, "{answer}")
}
