//! `./x demo`: see it work. Everything is real, on loopback, temporary, and gone afterwards, also after Ctrl-C.

mod people;
mod stage;
mod story;

use anyhow::{Result, bail};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let stay = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--stay") => true,
        Some(_) => {
            eprintln!("usage: ./x demo [--stay]");
            return ExitCode::from(2);
        }
    };
    // Whichever ends first, what the other holds is dropped, and with it all that was started.
    let told = tokio::select! {
        biased;
        told = story(stay) => told,
        told = interrupted() => told.and_then(|()| bail!("stopped; everything that was started is gone again")),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn story(stay: bool) -> Result<()> {
    let stage = stage::Stage::set().await?;
    story::tell(&stage).await?;
    if stay {
        story::what_to_type(&stage)?;
        interrupted().await?;
    }
    drop(stage);
    println!("\nEverything that was started is gone again.");
    Ok(())
}

async fn interrupted() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
