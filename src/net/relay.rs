//! Copying bytes both ways between two streams, counted, until both ends are done.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// How a relay ended.
#[derive(Debug)]
pub enum RelayEnd {
    /// Both sides finished.
    Finished,
    /// One side broke off.
    Broken(io::Error),
}

/// Bytes that passed, in each direction; readable while the relay runs.
#[derive(Debug, Default)]
pub struct Passed {
    /// From the first stream to the second.
    pub forth: AtomicU64,
    /// From the second stream to the first.
    pub back: AtomicU64,
}

/// Relays until both directions have ended or one has failed; whoever may cut it drops it. Half-closed streams stay open the other way.
pub async fn relay<A, B>(first: A, second: B, passed: &Passed) -> RelayEnd
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut first_read, mut first_write) = tokio::io::split(first);
    let (mut second_read, mut second_write) = tokio::io::split(second);
    let both = tokio::try_join!(
        copy(&mut first_read, &mut second_write, &passed.forth),
        copy(&mut second_read, &mut first_write, &passed.back),
    );
    match both {
        Ok(_) => RelayEnd::Finished,
        Err(error) => RelayEnd::Broken(error),
    }
}

async fn copy<R, W>(from: &mut R, to: &mut W, count: &AtomicU64) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(buffer.get(..read).unwrap_or_default()).await?;
        to.flush().await?;
        count.fetch_add(read as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn bytes_pass_both_ways_and_half_closing_keeps_the_other_way_open() {
        let (mut client, near) = duplex(64);
        let (far, mut server) = duplex(64);
        let passed = Passed::default();
        let relaying = relay(near, far, &passed);
        let talking = async {
            client.write_all(b"ping").await.unwrap();
            client.shutdown().await.unwrap();
            let mut heard = Vec::new();
            server.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"ping");
            server.write_all(b"pong!").await.unwrap();
            drop(server);
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"pong!");
        };
        let (end, ()) = tokio::join!(relaying, talking);
        assert!(matches!(end, RelayEnd::Finished));
        assert_eq!((passed.forth.into_inner(), passed.back.into_inner()), (4, 5));
    }
}
