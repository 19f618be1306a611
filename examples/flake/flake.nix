# A package of a flake, without any input: the library of rx is found in pure evaluation too. Build and run it:
#
#   rx run path:$PWD/examples/flake --extra-experimental-features flakes --host-tools
{
  description = "A clock that shows no time";

  outputs = { self }:
    let
      lib = import <rx/lib>;
      package = system: (import <rx> { inherit system; }).writeShellApplication {
        name = "clock";
        text = ''echo "It is later than you think."'';
      };
    in
    {
      packages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: { default = package system; });
    };
}
