/** Services and EndpointSlices: each by what is wrong when one part of it changes. */
import {
  object,
  service,
  slice,
  testFine,
  testWrong,
} from "#common/kubernetes/validate/validation-fixtures.ts";

testFine([
  ["a headless service without ports", service({ clusterIP: "None", ports: [] })],
  [
    "a dual-stack service",
    service({
      clusterIP: "10.0.0.1",
      clusterIPs: ["10.0.0.1", "fd00::1"],
      ipFamilies: ["IPv4", "IPv6"],
      ipFamilyPolicy: "RequireDualStack",
    }),
  ],
  [
    "one port for two protocols",
    service({
      ports: [
        { name: "a", port: 53 },
        { name: "b", port: 53, protocol: "UDP" },
      ],
    }),
  ],
  ["an external name", service({ type: "ExternalName", externalName: "example.com", ports: [] })],
  [
    "an endpoint slice",
    slice({ endpoints: [{ addresses: ["10.1.1.1"], zone: "a" }], ports: [{ name: "", port: 80 }] }),
  ],
]);

testWrong([
  ["no service ports", service({ ports: [] }), [/^error spec\.ports: is required/]],
  [
    "the same port twice",
    service({
      ports: [
        { name: "a", port: 80 },
        { name: "b", port: 80 },
      ],
    }),
    [/^error spec\.ports\[1\]: has the same port and protocol 80\/TCP as item 0/],
  ],
  [
    "two ports, one without name",
    service({ ports: [{ name: "a", port: 80 }, { port: 81 }] }),
    [/^error spec\.ports\[1\]\.name: is required with several ports/],
  ],
  [
    "two ports of one name",
    service({
      ports: [
        { name: "a", port: 80 },
        { name: "a", port: 81 },
      ],
    }),
    [/is the name of item 0 too/],
  ],
  [
    "a target port in text",
    service({ ports: [{ port: 80, targetPort: "8080" }] }),
    [/"8080" is text, not a port \(write 8080 unquoted\)/],
  ],
  [
    "a target port that is no name",
    service({ ports: [{ port: 80, targetPort: "HTTP" }] }),
    [/no port name/],
  ],
  ["a cluster IP that is none", service({ clusterIP: "10.0.0.300" }), [/no IP address/]],
  [
    "two cluster IPs of one family",
    service({ clusterIPs: ["10.0.0.1", "10.0.0.2"] }),
    [/one IPv4 and one IPv6/],
  ],
  ["one family in two lists", service({ ipFamilies: ["IPv4", "IPv4"] }), [/same family IPv4/]],
  [
    "an address of another family",
    service({ clusterIP: "fd00::1", ipFamilies: ["IPv4"] }),
    [/is IPv4, but the cluster IP is fd00::1/],
  ],
  [
    "single stack of two",
    service({ ipFamilyPolicy: "SingleStack", ipFamilies: ["IPv4", "IPv6"] }),
    [/allows one family/],
  ],
  [
    "no external name",
    service({ type: "ExternalName" }),
    [/^error spec\.externalName: is required/],
  ],
  ["no address type", slice({ addressType: undefined }), [/^error addressType: has no value/]],
  [
    "an endpoint of another family",
    slice({ endpoints: [{ addresses: ["fd00::1"] }] }),
    [/"fd00::1" is no IPv4 address/],
  ],
  ["an endpoint on loopback", slice({ endpoints: [{ addresses: ["127.0.0.1"] }] }), [/loopback/]],
  [
    "an endpoint at the metadata service",
    slice({ endpoints: [{ addresses: ["169.254.169.254"] }] }),
    [/link-local/],
  ],
  [
    "a slice of no service",
    object("discovery.k8s.io/v1", "EndpointSlice", { addressType: "IPv4", endpoints: [] }),
    [/^warning metadata\.labels: .*no Service/],
  ],
]);
