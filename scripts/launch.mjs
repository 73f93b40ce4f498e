// The command in a clone, after ../smol found Node: set-up if something is missing, then smol itself.
import path from 'node:path';
import { compile, installPackages, root } from './setup.mjs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`smol needs Node.js 20.19 or newer, this is ${process.version}`);
  process.exit(3);
}
installPackages();
compile();
// Who runs smol from a clone asked for set-up too: missing Debian packages are installed where that needs no password.
process.env.SMOL_INSTALL ??= '1';
await import(path.join(root, 'build', 'smol', 'main.js'));
