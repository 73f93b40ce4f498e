import { Command } from 'commander';
import { packageVersion } from '../host/paths.ts';
import { usage } from '../model/problems.ts';
import { nearest } from '../model/words.ts';
import { addBuilding } from './building.ts';
import { addCompleting } from './completing.ts';
import type { Context } from './context.ts';
import { addKeeping } from './keeping.ts';
import { addLooking } from './looking.ts';
import { addMachines } from './machines.ts';
import { addManaging } from './managing.ts';
import { addRunning } from './running.ts';
import { addSharing } from './sharing.ts';
import { addTesting } from './testing.ts';

const EXAMPLES = `
Examples:
  smol run hello                        build a small Linux guest, boot it, answer on http://127.0.0.1:8080/
  smol build rescue --arch i386         make images/rescue-i386.img
  smol run bozohttpd --port 8000:80     NetBSD's web server, on another port
  smol init                             start a project of your own in this directory

Exit codes: 0 done, 1 a step or a guest failed, 2 wrong usage or manifest, 3 something is wrong with this host,
            4 something is not what was pinned, 130 interrupted.`;

type Add = (root: Command, context: Context) => void;

/** All commands, in the order in which help tells them. */
const GROUPS: readonly Add[] = [
  addBuilding,
  addRunning,
  addMachines,
  addManaging,
  addTesting,
  addLooking,
  addSharing,
  addKeeping,
  addCompleting,
];
/** Those whose start somebody waits for, with the group that each is in: to make all others takes as long as a build that has nothing to do. */
const QUICK: Readonly<Record<string, Add>> = { build: addBuilding, run: addRunning };

/** The command line. Actions load what they need when they run: starting must cost nothing. `first` is its first word. */
export function program(context: Context, first?: string): Command {
  const root = new Command('smol')
    .description('Builds and runs micro-VMs of NetBSD from manifests.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({
      outputError: () => undefined, // what is wrong is told like any other problem
    });

  const own = first === undefined ? undefined : QUICK[first];
  for (const add of own === undefined ? GROUPS : [own]) add(root, context);

  for (const command of [root, ...root.commands.flatMap((each) => [each, ...each.commands])]) {
    command.exitOverride((error) => {
      // Help that was asked for, or that is the answer to no command at all.
      if (error.exitCode === 0 || error.code === 'commander.help') throw error;
      throw usage(error.message.replace(/^error: /, ''), hint(error.code, error.message, root, command));
    });
  }
  return root;
}

/** What to do about a mistake that commander found. */
function hint(code: string, message: string, root: Command, command: Command): string {
  const word = /'([^']+)'/.exec(message)?.[1] ?? '';
  const known =
    code === 'commander.unknownCommand'
      ? root.commands.map((each) => each.name())
      : code === 'commander.unknownOption'
        ? command.options.flatMap((option) => option.long ?? [])
        : [];
  const guess = nearest(word, known);
  const words: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) words.unshift(at.name());
  const help = `see \`${words.join(' ')} --help\``;
  return guess === undefined ? help : `did you mean ${guess}? Or ${help}`;
}
