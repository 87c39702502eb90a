//! How long `usher demo` takes on a terminal from the start of its process to its first picture.
//!
//! ```text
//! cargo build --release && cargo run --release -p usher-testkit --bin first_picture -- target/release/usher
//! ```

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program for developers, which ends where it cannot go on"
)]

use std::{io::Read, time::Instant};

use usher_testkit::{Launch, TestDir, figures::quantile, scratch};

const TIMES: usize = 20;

#[tokio::main]
async fn main() {
    let usher = std::env::args().nth(1).expect("usage: first_picture PATH/TO/usher");
    let usher = std::path::absolute(usher).expect("a path");
    let (dir, mut millis) = (TestDir::current(), Vec::new());
    for _ in 0..TIMES {
        let folder = scratch("demo");
        let command = format!("stty rows 40 cols 130; exec {} demo --dir {}", usher.display(), folder.path().display());
        let launch = Launch::new("script", dir.log("script")).args(["-qefc", &command, "/dev/null"]);
        let begun = Instant::now();
        let mut script = launch.env("TERM", "xterm-256color").env("SHELL", "/bin/sh").piped().start();
        let (_input, mut output) = script.take_pipes().expect("it has pipes");
        let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
        while !said.windows(5).any(|window| window == b"quits") {
            let count = output.read(&mut buffer).expect("it can be read");
            assert!(count > 0, "it ended without a picture: {}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&buffer[..count]);
        }
        millis.push(begun.elapsed().as_secs_f64() * 1000.0);
        script.kill().await;
    }
    millis.sort_by(f64::total_cmp);
    let at = |part| quantile(&millis, part).unwrap_or(f64::NAN);
    println!("{TIMES} starts to the first picture: {:.0} ms at the median, {:.0} ms at worst", at(0.5), at(1.0));
}
