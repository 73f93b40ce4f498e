import { freePort } from '../host/ports.ts';

/** The same forwards from other ports of the host, for a VM that is to be in nobody's way. */
export async function freePorts(ports: readonly string[] = []): Promise<string[]> {
  return Promise.all(
    ports.map(async (text) => {
      const [guest] = text.split(':').reverse();
      return `${await freePort(text.endsWith('/udp') ? 'udp' : 'tcp')}:${guest}`;
    }),
  );
}
