// A service that keeps the wire contract, over real HTTP: rotation with its window, sessions, problem details, and a clock
// of its own. What it answers next can be replaced, lost or delayed.
import { createServer } from "node:http";
import { once } from "node:events";

const WINDOW = 30_000;
const NO_COOKIE = "refresh=; Max-Age=0";

export class Service {
  /** Of the service, in milliseconds. */
  now = Date.parse("2026-06-01T12:00:00Z");
  life = 1800;
  needsAccessToken = true;
  /** Every request: method, path, token, body. */
  requests = [];
  /** Generations that were added. */
  rotations = 0;
  #sessions = new Map();
  #tokens = new Map();
  #faults = [];
  #server = createServer((request, response) => this.#serve(request, response));

  static async start() {
    const service = new Service();
    service.#server.listen(0, "127.0.0.1");
    await once(service.#server, "listening");
    service.origin = `http://127.0.0.1:${service.#server.address().port}`;
    return service;
  }

  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** What the next request to this path meets instead, or afterwards: a function of (request, response, go). */
  next(path, fault) {
    this.#faults.push({ path, fault });
  }

  /** How often this path was called. */
  count(path) {
    return this.requests.filter((request) => request.path === path).length;
  }

  revoke(session, code = "session_revoked", reason) {
    this.#sessions.get(session).ended = { code, reason };
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString("latin1");
    const path = request.url;
    const token = request.headers.authorization?.replace(/^Bearer /, "");
    const cookie = /refresh=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
    const { "content-type": type, "x-key": key } = request.headers;
    const call = { method: request.method, path, token, cookie, body, type, key };
    this.requests.push(call);
    response.sendDate = false;
    const go = () => this.#answer(call, response);
    const fault = this.#faults.findIndex((fault) => fault.path === path);
    if (fault < 0) return go();
    return this.#faults.splice(fault, 1)[0].fault(call, response, go);
  }

  #answer(call, response) {
    const route = `${call.method} ${call.path}`;
    if (route === "POST /auth/login") return this.#start(response, 200, JSON.parse(call.body));
    if (route === "POST /auth/register") return this.#start(response, 201, JSON.parse(call.body));
    if (route === "POST /auth/refresh") return this.#refresh(call, response);
    if (route === "POST /auth/logout") return this.#logout(call, response);
    const holder = this.#tokens.get(call.token);
    const refusal = !call.token ? "unauthorized" : this.#refusal(holder);
    if (refusal) return this.problem(response, 401, refusal);
    const { session } = holder;
    if (route === "POST /auth/password") return this.#password(call, response, session);
    if (route === "GET /auth/sessions") return this.json(response, 200, { sessions: [{ id: session, current: true }] });
    if (call.method === "DELETE") {
      if (["/auth/sessions", `/auth/sessions/${session}`].includes(call.path)) this.revoke(session);
      return this.json(response, 204);
    }
    return this.json(response, 200, { session, body: call.body, type: call.type });
  }

  #refusal(holder) {
    if (!holder) return "token_invalid";
    if (holder.expires <= this.now) return "token_expired";
    return this.#sessions.get(holder.session).ended ? "session_revoked" : undefined;
  }

  #start(response, status, { email, password }) {
    if (password === "wrong") return this.problem(response, 401, "invalid_credentials");
    const id = `s${this.#sessions.size + 1}`;
    this.#sessions.set(id, { id, user: { id: `user of ${email}`, email, created_at: "" }, generation: 0, rotated: 0 });
    return this.#tokensOf(response, status, id);
  }

  #password(call, response, id) {
    const { current_password, new_password } = JSON.parse(call.body);
    if (current_password === "wrong") return this.problem(response, 403, "wrong_password");
    this.revoke(id, "session_revoked", "password_changed");
    return this.#start(response, 200, { email: this.#sessions.get(id).user.email, password: new_password });
  }

  #logout({ token, cookie }, response) {
    const id = cookie?.split(".")[0] ?? this.#tokens.get(token)?.session;
    if (!this.#sessions.has(id)) return this.problem(response, 401, "unauthorized");
    this.revoke(id);
    return this.json(response, 204, undefined, { "Set-Cookie": NO_COOKIE });
  }

  #refresh({ token, cookie }, response) {
    const holder = this.#tokens.get(token);
    const [id, generation] = cookie?.split(".") ?? [];
    const session = this.#sessions.get(id);
    if (!cookie) return this.problem(response, 401, "unauthorized");
    if (!token && this.needsAccessToken) return this.problem(response, 401, "access_token_required");
    if (!session) return this.problem(response, 401, "refresh_token_invalid");
    if (token && !holder) return this.problem(response, 401, "token_invalid");
    if (token && holder.session !== id) return this.problem(response, 401, "token_mismatch");
    if (session.ended) return this.problem(response, 401, session.ended.code, session.ended.reason);
    const young = this.now - session.rotated < WINDOW;
    const behind = session.generation - Number(generation);
    if (behind > 1 || (behind === 1 && !young)) {
      this.revoke(id, "refresh_token_reused");
      return this.problem(response, 401, "refresh_token_reused");
    }
    if (behind === 0 && (!young || session.generation === 0)) {
      session.generation += 1;
      session.rotated = this.now;
      this.rotations += 1;
    }
    return this.#tokensOf(response, 200, id);
  }

  #tokensOf(response, status, id) {
    const token = `at${this.#tokens.size + 1}`;
    this.#tokens.set(token, { session: id, expires: this.now + this.life * 1000 });
    const { user, generation } = this.#sessions.get(id);
    const tokens = { access_token: token, token_type: "Bearer", expires_in: this.life, session_id: id, user };
    return this.json(response, status, tokens, { "Set-Cookie": `refresh=${id}.${generation}; Path=/` });
  }

  problem(response, status, code, reason, headers = {}) {
    const type = "application/problem+json";
    const detail = `The detail of ${code}.`;
    return this.json(response, status, { code, status, detail, reason }, { "Content-Type": type, ...headers });
  }

  json(response, status, value, headers = {}) {
    const date = new Date(this.now).toUTCString();
    response.writeHead(status, { "Content-Type": "application/json", Date: date, ...headers });
    response.end(value === undefined ? undefined : JSON.stringify(value));
  }
}
