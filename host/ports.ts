import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/** Why a port of an address cannot be listened on now, as an error code of the system; undefined if it can. */
export async function whyNotFree(protocol: 'tcp' | 'udp', address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message);
    if (protocol === 'udp') {
      const socket = createSocket('udp4');
      socket.once('error', fail);
      socket.bind(port, address, () => socket.close(() => resolve(undefined)));
    } else {
      const server = createServer();
      server.once('error', fail);
      server.listen(port, address, () => server.close(() => resolve(undefined)));
    }
  });
}
