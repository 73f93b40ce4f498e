import { Project } from '../manifest/project.ts';
import { noSuchVm } from '../model/problems.ts';
import { stopVm } from '../vm/launch.ts';
import { Registry, type VmRecord } from '../vm/registry.ts';
import type { Caller } from './session.ts';

/** The VMs of the project that are running. */
export async function ps({ folder }: Caller): Promise<VmRecord[]> {
  return new Registry((await Project.find(folder)).state).running();
}

/** Stops VMs by name, or all of them. Throws `no-such-vm`. */
export async function stop({ folder, emit }: Caller, names: readonly string[], all: boolean): Promise<void> {
  const registry = new Registry((await Project.find(folder)).state);
  const running = registry.running();
  const wanted = all
    ? running
    : names.map((name) => {
        const found = running.find((vm) => vm.name === name);
        if (found === undefined)
          throw noSuchVm(
            name,
            running.map((vm) => vm.name),
          );
        return found;
      });
  await Promise.all(
    wanted.map(async (vm) => {
      await stopVm(vm, emit);
      registry.remove(vm);
    }),
  );
}
