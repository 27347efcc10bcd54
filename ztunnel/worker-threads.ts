/**
 * How many data workers: Istio's variables and their precedence (istio/ztunnel src/config.rs), with
 * another default, because one of our workers costs more memory than one of its threads.
 */
import { type Environment, invalid } from "#common/config/environment.ts";
import { WORKER_THREADS_MAX } from "./limits.ts";

/** Of the cores, where nobody says anything: one worker on up to four. */
const DEFAULT_SHARE = 0.25;

/**
 * ZTUNNEL_WORKER_THREADS as a count, a percentage (`50%`) or 0 for all cores; else PROXY_CONFIG's
 * `concurrency` by the same rule; else a CPU limit, a quarter of the cores, or a CPU request, where
 * it is more. Never more than WORKER_THREADS_MAX.
 */
export function workerThreads(
  env: Environment,
  cores: number,
  concurrency: number | undefined,
): number {
  return Math.min(WORKER_THREADS_MAX, Math.max(1, wanted(env, cores, concurrency)));
}

function wanted(env: Environment, cores: number, concurrency: number | undefined): number {
  const limit = cpuQuantity(env, "ZTUNNEL_RESOURCE_CPU_LIMIT");
  const all = limit ?? cpuQuantity(env, "ZTUNNEL_CPU_LIMIT") ?? cores;
  const given = env.ZTUNNEL_WORKER_THREADS;
  if (given !== undefined && given !== "") return explicit(given, all);
  if (concurrency !== undefined) return concurrency === 0 ? all : concurrency;
  const request = cpuQuantity(env, "ZTUNNEL_RESOURCE_CPU_REQUEST") ?? 0;
  return Math.max(request, limit ?? Math.ceil(all * DEFAULT_SHARE));
}

function explicit(given: string, all: number): number {
  const [, percent] = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(given) ?? [];
  if (percent !== undefined && Number(percent) > 0 && Number(percent) <= 100) {
    return Math.ceil((all * Number(percent)) / 100);
  }
  const count = /^\d{1,5}$/.test(given) ? Number(given) : Number.NaN;
  if (count >= 0 && count <= WORKER_THREADS_MAX) return count === 0 ? all : count;
  const allowed = `a count from 0 (all cores) to ${WORKER_THREADS_MAX}, or a share such as 50%`;
  return invalid("ZTUNNEL_WORKER_THREADS", given, allowed);
}

/** Whole CPUs of a Kubernetes quantity (`2`, `1.5`, `500m`), rounded up. */
function cpuQuantity(env: Environment, name: string): number | undefined {
  const value = env[name];
  if (value === undefined || value === "") return undefined;
  const [, digits, milli] = /^(\d{1,9}(?:\.\d{1,9})?)(m?)$/.exec(value) ?? [];
  const cpus = Number(digits ?? 0) / (milli === "m" ? 1000 : 1);
  return cpus > 0 ? Math.ceil(cpus) : invalid(name, value, "a CPU quantity such as 2 or 500m");
}
