# What may be set.
{ lib, ... }:
{
  options.title = lib.mkOption {
    type = lib.types.str;
    description = "The name of the site";
  };
  options.pages = lib.mkOption {
    default = { };
    description = "Pages by the name of their file";
    type = lib.types.attrsOf (lib.types.submodule {
      options.title = lib.mkOption { type = lib.types.str; };
      options.text = lib.mkOption { type = lib.types.lines; default = "To be written."; };
    });
  };
}
