// Repeats a question while somebody looks at its answer.

import { ApiError } from "./api.js";

export class Poll {
  #abort = null;
  #timer;
  #question;
  #onError;
  #periodMs;

  /** `question` gets a signal. `onError` gets an error, or null after a success. */
  constructor(periodMs, question, onError) {
    this.#periodMs = periodMs;
    this.#question = question;
    this.#onError = onError;
    document.addEventListener("visibilitychange", () => {
      if (this.#abort && !document.hidden) this.start();
    });
  }

  /** Asks at once, and from then on; also if it was started before. */
  start() {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    this.#ask(abort.signal);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
  }

  async #ask(signal) {
    try {
      await this.#question(signal);
      if (signal.aborted) return;
      this.#onError(null);
    } catch (error) {
      if (signal.aborted) return;
      this.#onError(explained(error));
    }
    // A hidden page asks again when it is shown.
    if (!document.hidden) this.#timer = setTimeout(() => this.#ask(signal), this.#periodMs);
  }
}

/** An error as a sentence. */
export function explained(error) {
  if (error instanceof ApiError) return error;
  const text = error.name === "TimeoutError" ? "The node did not answer in time." : "Cannot reach the node.";
  return new ApiError(0, text);
}
