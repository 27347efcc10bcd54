/** Connects to the admin port of a node's ztunnel, from outside, by way of the node's network. */
import type { Socket } from "node:net";
import type { IpAddress } from "#common/model/ip.ts";
import { connectFrom } from "#meshctl/local/network/netns-socket.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import type { NodeInfo } from "./api.ts";
import type { ControlClient } from "./client.ts";

const LOOPBACK = "127.0.0.1" as IpAddress;

export function connectAdmin(client: ControlClient, node: NodeInfo, port: number): Socket {
  const sys = createLinuxSyscalls();
  const netns = sys.openNetns(client.outside(`/proc/${node.pid}/ns/net`));
  try {
    return connectFrom(sys, netns, LOOPBACK, port);
  } finally {
    sys.closeNetns(netns);
  }
}
