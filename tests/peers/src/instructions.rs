//! Instructions per call, counted by callgrind.
//!
//! The program runs itself under valgrind, once for all rows: each way is gone twice, the second
//! time longer, and the difference between the two counts is that of the calls alone. Callgrind
//! writes its count down whenever the program passes a [`boundary`].
//!
//! A read of the clock counts about 65 too few: valgrind answers it in place of the kernel.

use std::{
    env, fs,
    hint::black_box,
    io,
    path::Path,
    process::{Command, Stdio},
};

use crate::{clock::with_timers, rows::rows};

/// What the program is told so that it goes the ways and measures nothing itself.
pub(crate) const CHILD: &str = "under-callgrind";

const WARM: u64 = 300;
const SHORT: u64 = 500;
const LONG: u64 = 2_500;

/// The counts of every case of every row, in order; nothing where valgrind is not installed.
pub(crate) fn count(filter: &str) -> io::Result<Option<Vec<f64>>> {
    let directory = env::temp_dir().join(format!("backstop-peers-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let counted = callgrind(filter, &directory);
    fs::remove_dir_all(&directory)?;
    counted
}

fn callgrind(filter: &str, directory: &Path) -> io::Result<Option<Vec<f64>>> {
    let output = directory.join("count");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "-q", "--dump-before=*boundary*"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(env::current_exe()?)
        .args([CHILD, filter])
        .stdout(Stdio::null())
        .output();
    let run = match run {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        run => run?,
    };
    if !run.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&run.stderr)));
    }
    // One file a boundary, numbered from 1 on: before the short run, after it, after the long one.
    (0..)
        .map(|case| 3 * case + 1)
        .map(|first| [first + 1, first + 2].map(|n| output.with_extension(n.to_string())))
        .take_while(|[_, long]| long.exists())
        .map(|[short, long]| {
            let more = total(&long)? - total(&short)?;
            Ok(more / (LONG - SHORT) as f64)
        })
        .collect::<io::Result<_>>()
        .map(Some)
}

/// The number of instructions in one of callgrind's files.
fn total(file: &Path) -> io::Result<f64> {
    let text = fs::read_to_string(file)?;
    text.lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("{}: no total", file.display())))
}

/// What runs under callgrind.
pub(crate) fn go(filter: &str) {
    with_timers(|| {
        for row in &mut rows(filter) {
            for case in &mut row.cases {
                case.run(WARM);
                boundary();
                case.run(SHORT);
                boundary();
                case.run(LONG);
                boundary();
            }
        }
    });
}

/// Where callgrind writes its count down, and begins anew.
#[inline(never)]
fn boundary() {
    black_box(());
}
