//! Ctrl-C: once to leave in good order, twice to leave at once.

use tokio::sync::watch;

use crate::exit::Exit;

/// Tells whether Ctrl-C was typed.
#[derive(Debug, Clone)]
pub struct Interrupt {
    typed: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens from now on. The second Ctrl-C ends the process on the spot.
    pub fn listen() -> Interrupt {
        let (tell, typed) = watch::channel(false);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_err() {
                // No handler could be set: Ctrl-C ends the process as it always did.
                std::future::pending::<()>().await;
            }
            tell.send_replace(true);
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(Exit::Interrupted as i32);
            }
        });
        Interrupt { typed }
    }

    /// Returns once Ctrl-C was typed.
    pub async fn typed(&self) {
        let mut typed = self.typed.clone();
        if typed.wait_for(|&typed| typed).await.is_err() {
            // The listener is gone only when the runtime is.
            std::future::pending::<()>().await;
        }
    }
}
