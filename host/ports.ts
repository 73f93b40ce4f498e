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

/** A port of 127.0.0.1 that nothing listens on now. */
export async function freePort(protocol: 'tcp' | 'udp'): Promise<number> {
  return new Promise((resolve, reject) => {
    const give = (port: number, close: (done: () => void) => void) => close(() => resolve(port));
    if (protocol === 'udp') {
      const socket = createSocket('udp4');
      socket.once('error', reject);
      socket.bind(0, '127.0.0.1', () => give(socket.address().port, (done) => socket.close(done)));
    } else {
      const server = createServer();
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        give(typeof address === 'object' && address !== null ? address.port : 0, (done) => server.close(done));
      });
    }
  });
}
