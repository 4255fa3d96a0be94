//! `catraca-bindgen`: makes JavaScript modules from our wasm.
//!
//! Takes the options of the `wasm-bindgen` program that we need and does the same. Built here, from the
//! library that program consists of: compiling the program itself takes far longer, for a test server and
//! a downloader that nobody here uses.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use wasm_bindgen_cli_support::Bindgen;

#[derive(Parser)]
#[command(about = "Makes a JavaScript module from wasm, as wasm-bindgen does.")]
struct Options {
    /// What cargo built for `wasm32-unknown-unknown`.
    wasm: PathBuf,
    /// What loads the module.
    #[arg(long)]
    target: Target,
    /// Where the files go.
    #[arg(long)]
    out_dir: PathBuf,
    /// How their names begin.
    #[arg(long)]
    out_name: String,
    /// Leaves out the types for TypeScript.
    #[arg(long)]
    no_typescript: bool,
    /// Adds a function that starts the program over.
    #[arg(long)]
    experimental_reset_state_function: bool,
    /// Tells when the program has panicked, also where a panic aborts.
    #[arg(long)]
    force_enable_abort_handler: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    /// A runtime that imports wasm as a module.
    Module,
    /// A browser, which is given the address of the wasm.
    Web,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut bindgen = Bindgen::new();
    match options.target {
        Target::Module => bindgen.module(true)?,
        Target::Web => bindgen.web(true)?,
    };
    bindgen
        .input_path(options.wasm)
        .out_name(&options.out_name)
        .typescript(!options.no_typescript)
        .reset_state_function(options.experimental_reset_state_function)
        .force_enable_abort_handler(options.force_enable_abort_handler)
        .generate(options.out_dir)
}
