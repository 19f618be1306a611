/** Sources over HTTP, built by the phases as they are: ./configure, make, make check, make install. */
{ mkDerivation, fetchurl }:
mkDerivation (package: {
  pname = "gnu-hello";
  version = "2.10";
  src = fetchurl {
    url = "https://ftp.gnu.org/gnu/hello/hello-${package.version}.tar.gz";
    hash = "sha256-MeBmE3qWJnbon2nRtlOC3pWn732RS4y5VvQepy4PUWs=";
  };
  hostTools = [ "awk" "cc" "cmp" "diff" "expr" "grep" "gzip" "install" "make" "sort" "tr" ];
  doCheck = true;
  meta = {
    description = "The GNU project's greeting";
    homepage = "https://www.gnu.org/software/hello/";
    license = "GPL-3.0-or-later";
    mainProgram = "hello";
  };
})
