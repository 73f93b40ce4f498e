import type { Command } from 'commander';

/** Scripts for shells, which ask `smol complete` for the words. */
export const SHELLS = {
  bash: `_smol() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(smol complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _smol smol`,
  zsh: `#compdef smol
_smol() {
    compadd -- \${(f)"$(smol complete -- "\${words[@]:1:CURRENT-1}" 2>/dev/null)"}
}
compdef _smol smol`,
  fish: `complete -c smol -f -a '(smol complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'`,
} as const;

/** What may follow the words typed so far, the last of which is not complete. */
export async function candidates(
  root: Command,
  words: readonly string[],
  names: {
    services: () => Promise<readonly string[]>;
    vms: () => Promise<readonly string[]>;
    archs: readonly string[];
  },
): Promise<readonly string[]> {
  const before = words.slice(0, -1);
  const last = words.at(-1) ?? '';
  if (['-a', '--arch'].includes(before.at(-1) ?? '')) return names.archs;
  const outer = root.commands.find((each) => each.name() === before[0]);
  const command = outer?.commands.find((each) => each.name() === before[1]) ?? outer;
  if (before.includes('--for')) return names.services();
  if (command === undefined) return root.commands.map((each) => each.name()).filter((name) => name !== 'complete');
  if (last.startsWith('-')) return command.options.flatMap(({ long }) => long ?? []);
  if (command.commands.length > 0) return command.commands.map((each) => each.name());
  const [argument] = command.registeredArguments;
  if (argument?.name() === 'service' || argument?.name() === 'image')
    return command.name() === 'init' ? [] : names.services();
  if (argument?.name() === 'name' && VM_COMMANDS.has(command.name())) return names.vms();
  return command.name() === 'completion' ? Object.keys(SHELLS) : [];
}

const VM_COMMANDS: ReadonlySet<string> = new Set(['stop', 'restart', 'rm', 'wait', 'logs', 'console', 'send']);
