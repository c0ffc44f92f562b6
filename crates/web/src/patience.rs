//! Bounds of time.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;

/// Waits for `work`, not longer than `limit`. What is there at once, as a page
/// out of memory, costs no timer.
///
/// # Errors
/// The time was up first.
pub(crate) async fn within<F: Future>(limit: Duration, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    match futures::poll!(work.as_mut()) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => tokio::time::timeout(limit, work).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_is_had_and_what_does_not_come_is_given_up() {
        let limit = Duration::from_millis(5);
        assert_eq!(within(Duration::ZERO, std::future::ready(7)).await.ok(), Some(7));
        let soon = async {
            tokio::task::yield_now().await;
            8
        };
        assert_eq!(within(Duration::from_secs(60), soon).await.ok(), Some(8));
        assert!(within(limit, std::future::pending::<()>()).await.is_err());
    }
}
