# Files made from data: pages of a site, whose settings are checked before anything is built. Needs nothing of the
# machine but `ln` and `mkdir`.
#
#   rx-build examples/site --host-tools
#   cat result/index.html
{ pkgs ? import <rx> { } }:
let
  inherit (pkgs) lib;
  site = (lib.evalModules { modules = [ ./options.nix ./settings.nix ]; }).config;

  page = title: body: ''
    <!doctype html>
    <title>${title} – ${site.title}</title>
    <h1>${title}</h1>
    ${body}
  '';
  link = name: "<li><a href=\"${name}.html\">${site.pages.${name}.title}</a></li>";
  index = page site.title "<ul>${lib.concatMapStrings link (lib.attrNames site.pages)}</ul>";
  html = name: text: lib.nameValuePair "${name}.html" (pkgs.writeText "${name}.html" text);
in
pkgs.linkFarm "site" (
  lib.listToAttrs [ (html "index" index) ]
  // lib.mapAttrs' (name: settings: html name (page settings.title settings.text)) site.pages
)
