//! How far a long replay has come, on the terminal.

use std::io::{self, IsTerminal, Read, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// Captures below this size, in bytes, are replayed too fast for a progress bar to help.
const LARGE: u64 = 8 << 20;

/// A progress bar on standard error, or nothing.
///
/// It appears when the captures are large and standard error is a terminal. When standard output
/// is one too, the rows scrolling by show the progress, and there is no bar.
#[derive(Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows the progress of reading `total` bytes.
    #[must_use]
    pub fn of(total: u64) -> Self {
        let shown = total >= LARGE && io::stderr().is_terminal() && !io::stdout().is_terminal();
        let bar = if shown {
            ProgressBar::new(total).with_style(style())
        } else {
            ProgressBar::hidden()
        };
        Self { bar }
    }

    /// Counts what is read from `reader`.
    pub fn count<R: Read + Send + 'static>(&self, reader: R) -> impl Read + Send + use<R> {
        self.bar.wrap_read(reader)
    }

    /// `out`, with the bar out of the way while it is written to.
    pub fn beside<W: Write>(&self, out: W) -> impl Write + use<W> {
        Beside {
            progress: self.clone(),
            out,
        }
    }

    /// Runs `work`, which may write to the terminal.
    pub fn pause<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

struct Beside<W> {
    progress: Progress,
    out: W,
}

impl<W: Write> Write for Beside<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let out = &mut self.out;
        self.progress.pause(|| out.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {percent:>3} %  {bytes} of {total_bytes}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
