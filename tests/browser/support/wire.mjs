// What lies between browser and server: it counts, it can be cut, and it serves a bare page on which the client lives.

import { createServer, request } from "node:http";
import { once } from "node:events";

/** A page with nothing on it but the client, as `auth`, and a note of every change it reports. */
const tab = (storage) => `<!doctype html><title>tab</title><script type="module">
import { createAuth } from "/auth/client.js";
globalThis.changes = [];
globalThis.auth = createAuth({ base: "/auth", storage: "${storage}" });
auth.onChange((change) => changes.push(change));
</script>`;

export class Wire {
  /** Every request that went through, as `POST /auth/refresh`, in order. */
  seen = [];
  /**
   * What becomes of a request: a status that it is answered with, `"cut"` before the server hears of it, `"lose the answer"`
   * after the server has answered, or nothing of the kind.
   */
  trouble = () => undefined;
  #server;
  #sockets = new Set();
  #target;

  static async to(target) {
    const wire = new Wire();
    wire.#target = target;
    wire.#server = createServer((asked, answer) => wire.#serve(asked, answer));
    wire.#server.on("connection", (socket) => {
      wire.#sockets.add(socket);
      socket.on("close", () => wire.#sockets.delete(socket));
    });
    wire.#server.listen(0, "127.0.0.1");
    await once(wire.#server, "listening");
    return wire;
  }

  /** The address of the browser's side. `host` may be another name of this machine. */
  url(path = "/", host = "127.0.0.1") {
    return `http://${host}:${this.#server.address().port}${path}`;
  }

  async close() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(asked, answer) {
    const url = new URL(asked.url, this.url());
    if (url.pathname === "/tab") {
      answer.writeHead(200, { "content-type": "text/html", "cache-control": "no-store" });
      answer.end(tab(url.searchParams.get("storage") ?? "local"));
      return;
    }
    const call = `${asked.method} ${url.pathname}`;
    this.seen.push(call);
    const trouble = this.trouble(call, asked);
    if (trouble === "cut") asked.socket.destroy();
    else if (typeof trouble === "number") refuse(answer, trouble);
    else this.#pass(asked, answer, trouble === "lose the answer");
  }

  #pass(asked, answer, isLost) {
    const { hostname, port } = this.#target;
    const onwards = request({ hostname, port, method: asked.method, path: asked.url, headers: asked.headers }, (reply) => {
      if (isLost) {
        // All of it has come, so the server has committed; the browser sees a broken connection.
        reply.resume().on("end", () => asked.socket.destroy());
        return;
      }
      answer.writeHead(reply.statusCode, reply.rawHeaders);
      reply.pipe(answer);
    });
    onwards.on("error", () => asked.socket.destroy());
    asked.pipe(onwards);
  }
}

/** As a proxy answers whose server is gone: with a page of its own. */
function refuse(answer, status) {
  answer.writeHead(status, { "content-type": "text/html", "retry-after": "1" });
  answer.end("<h1>Bad luck</h1>");
}
