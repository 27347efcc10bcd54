/** The ExternalAuth filter of HTTPRoutes. Source: the HTTPRoute CRD of sigs.k8s.io/gateway-api. */
import { backendReference } from "#common/kubernetes/validate/routes/references.ts";
import { MAX_PATH, pattern } from "#common/kubernetes/validate/routes/texts.ts";
import {
  integer,
  list,
  oneOf,
  type Schema,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

interface ExternalAuth {
  readonly protocol: "HTTP" | "GRPC";
  readonly http?: object;
  readonly grpc?: object;
}

const PATH = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/;
const headers = list<string>(text(), { max: 64, unique: (header) => `entry ${header}` });

export const externalAuth: Schema = strictObject<ExternalAuth>(
  {
    protocol: oneOf("HTTP", "GRPC"),
    backendRef: backendReference,
    grpc: strictObject({ allowedHeaders: headers }),
    http: strictObject({
      path: text(pattern(PATH, MAX_PATH, "path", "like /check")),
      allowedHeaders: headers,
      allowedResponseHeaders: headers,
    }),
    forwardBody: strictObject({ maxSize: integer(0) }),
  },
  {
    required: ["protocol", "backendRef"],
    check: (filter, report) => {
      const own = filter.protocol === "HTTP" ? "http" : "grpc";
      const other = own === "http" ? "grpc" : "http";
      if (filter[own] === undefined) report("error", [own], `is required with ${filter.protocol}`);
      if (filter[other] === undefined) return;
      report("error", [other], `does not belong to protocol ${filter.protocol}`, "remove it");
    },
  },
);
