//! Makes the code of the Pub/Sub API's two sides: arguments are the .proto file and a scratch directory, in which
//! `client` and `server` will hold what was made. `cargo xtask gen` puts it into its places.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [proto, scratch] = arguments.as_slice() else {
        return Err("usage: sloe-gen FILE.proto DIRECTORY".into());
    };
    let folder = Path::new(proto).parent().ok_or("the .proto file has no folder")?;
    let files = protox::compile([proto], [folder])?;
    for (side, client) in [("client", true), ("server", false)] {
        let out = Path::new(scratch).join(side);
        std::fs::create_dir_all(&out)?;
        tonic_prost_build::configure()
            .build_client(client)
            .build_server(!client)
            .build_transport(false)
            .bytes(".")
            .out_dir(&out)
            .compile_fds(files.clone())?;
    }
    Ok(())
}
