/** Sources over HTTP with a makefile of their own taste. */
{ mkDerivation, fetchurl }:
mkDerivation (package: {
  pname = "lua";
  version = "5.4.7";
  src = fetchurl {
    url = "https://www.lua.org/ftp/lua-${package.version}.tar.gz";
    hash = "sha256-n79eKO+GxphY9tPTTszDLpEcGii0Eg/z6EqqcM+/HjA=";
  };
  hostTools = [ "ar" "cc" "gzip" "install" "make" "ranlib" "uname" ];
  buildFlags = [ "posix" ];
  makeFlags = [ "MYCFLAGS=-DLUA_USE_POSIX" ];
  preInstall = ''makeFlags="$makeFlags INSTALL_TOP=$out"'';
  doInstallCheck = true;
  installCheckPhase = ''[ "$("$out/bin/lua" -e 'print(6 * 7)')" = 42 ]'';
  meta = {
    description = "A small scripting language";
    homepage = "https://www.lua.org";
    license = "MIT";
  };
})
