/** Containers of pods, their ports, environment and probes. */
import type { Container, Probe } from "#common/kubernetes/objects.ts";
import {
  dnsLabel,
  environmentName,
  mountPath,
  notEmpty,
  portNameCheck,
} from "#common/kubernetes/validate/formats.ts";
import {
  anything,
  boolean,
  integer,
  list,
  object,
  oneOf,
  port,
  portOrName,
  type Report,
  type Schema,
  text,
} from "#common/kubernetes/validate/schema.ts";

export const protocol: Schema = oneOf("TCP", "UDP", "SCTP");

const HANDLERS = ["httpGet", "tcpSocket", "exec", "grpc"] as const;

const probeFields = {
  httpGet: object(
    {
      path: text(),
      port: portOrName,
      scheme: oneOf("HTTP", "HTTPS"),
      httpHeaders: list(
        object({ name: text(notEmpty), value: text() }, { required: ["name", "value"] }),
      ),
    },
    { required: ["port"] },
  ),
  tcpSocket: object({ port: portOrName }, { required: ["port"] }),
  exec: object({ command: list(text(), { min: 1 }) }, { required: ["command"] }),
  grpc: anything,
  initialDelaySeconds: integer(0),
  periodSeconds: integer(1),
  timeoutSeconds: integer(1),
  successThreshold: integer(1),
  failureThreshold: integer(1),
};

function probe(onlyOneSuccess: boolean): Schema {
  return object<Probe>(probeFields, {
    check: (value, report) => {
      const given = HANDLERS.filter((handler) => Object.hasOwn(value, handler));
      if (given.length !== 1) {
        const found = given.length === 0 ? "none" : given.join(" and ");
        report("error", [], `needs exactly one of ${HANDLERS.join(", ")}, has ${found}`);
      }
      if (onlyOneSuccess && (value.successThreshold ?? 1) !== 1) {
        report("error", ["successThreshold"], "must be 1 for this probe");
      }
    },
  });
}

const environmentVariable = object<{ value?: string; valueFrom?: object }>(
  {
    name: text(environmentName),
    value: text(),
    valueFrom: object({
      fieldRef: object({ fieldPath: text(notEmpty) }, { required: ["fieldPath"] }),
    }),
  },
  {
    required: ["name"],
    check: (variable, report) => {
      if (variable.valueFrom === undefined || (variable.value ?? "") === "") return;
      report("error", ["valueFrom"], "value and valueFrom exclude each other");
    },
  },
);

const containerPort = object(
  { name: text(portNameCheck), containerPort: port, protocol },
  { required: ["containerPort"], unread: ["hostPort"] },
);

export const container: Schema = object<Container>(
  {
    name: text(dnsLabel),
    image: text(notEmpty),
    command: list(text()),
    args: list(text()),
    workingDir: text(),
    env: list(environmentVariable),
    ports: list<{ name?: string }>(containerPort, {
      unique: ({ name }) => (name === undefined ? undefined : `name ${name}`),
    }),
    readinessProbe: probe(false),
    livenessProbe: probe(true),
    startupProbe: probe(true),
    volumeMounts: list<{ mountPath: string }>(
      object(
        { name: text(dnsLabel), mountPath: text(mountPath), readOnly: boolean },
        { required: ["name", "mountPath"] },
      ),
      { unique: (mount) => `mountPath ${mount.mountPath}` },
    ),
  },
  { required: ["name", "image"], unread: ["envFrom"], check: checkContainer },
);

/** A probe of a port name that the container does not declare never succeeds. */
function checkContainer(value: Container, report: Report): void {
  const names = new Set(value.ports?.map((declared) => declared.name));
  for (const field of ["readinessProbe", "livenessProbe", "startupProbe"] as const) {
    for (const handler of ["httpGet", "tcpSocket"] as const) {
      const wanted = value[field]?.[handler]?.port;
      if (typeof wanted !== "string" || names.has(wanted)) continue;
      const message = `the container has no port named ${wanted}`;
      report("warning", [field, handler, "port"], message, "name it in ports, or write its number");
    }
  }
}
