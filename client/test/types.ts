// Is only compiled: what users of the types may write, and what they may not.
import { AuthError, createAuth, type Change, type ListedSession, type Session } from "../authflow.js";

const auth = createAuth({
  base: new URL("https://example.com/auth"),
  storage: "memory",
  origins: ["https://example.com"],
});
// @ts-expect-error There is no such storage.
createAuth({ storage: "cookie" });

export async function use(): Promise<void> {
  const session: Session = await auth.login({ email: "alice@example.com", password: "secret", remember: false });
  // @ts-expect-error Nobody may be logged in.
  const id: string = auth.session.id;
  const answer: Response = await auth.fetch(new URL("https://example.com/api"), {
    method: "POST",
    body: session.id + id,
  });
  const token: string | null = await auth.getAccessToken({ refused: "a", signal: AbortSignal.timeout(1) });
  const sessions: ListedSession[] = await auth.sessions.list();
  const stop: () => void = auth.onChange(({ type, code }: Change) => console.log(type, code));
  try {
    await auth.changePassword({ current_password: "a", new_password: "b" });
  } catch (error) {
    if (error instanceof AuthError && error.transient) console.log(error.code, error.retryAfter);
  }
  stop();
  console.log(answer.status, token, sessions.length);
}
