//! Tells the program which compiler made it; the same compiler makes the same program.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs"); // and when the compiler is another one, as cargo sees to
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(compiler).arg("--version").output();
    let version = said.ok().and_then(|said| String::from_utf8(said.stdout).ok()).unwrap_or_default();
    println!("cargo::rustc-env=LEASEHOLD_RUSTC={}", version.trim());
}
