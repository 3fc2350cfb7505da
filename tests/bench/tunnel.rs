//! Role `tunnel`: a CONNECT proxy that copies bytes and looks at none; the least that any proxy costs.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::child::end_with_parent;

/// The role itself.
pub async fn run() {
    end_with_parent();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            let _ = tunnel(stream).await; // the client sees what went wrong
        });
    }
}

async fn tunnel(mut client: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head);
    let authority = text.split(' ').nth(1).unwrap_or_default();
    let mut origin = TcpStream::connect(authority).await?;
    origin.set_nodelay(true)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut origin).await?;
    Ok(())
}
