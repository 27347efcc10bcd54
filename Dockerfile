# The image that `npm run image` makes without Docker: same packages, same programs, same settings
# (tools/image/contents.ts says them, tools/image/dockerfile.test.ts compares).
#   docker build -t ambient-mesh:0.1.0 .
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates npm
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --include=optional
COPY . .
RUN node_modules/.bin/node tools/image/stage-main.ts /out

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
    busybox-static ca-certificates libatomic1 libstdc++6 netbase netcat-openbsd nftables \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /
ENV NODE_COMPILE_CACHE=/opt/ambient-mesh/compile-cache
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN --mount=type=bind,from=build,source=/src,target=/src node /src/tools/image/bake-main.ts
LABEL org.opencontainers.image.title=ambient-mesh
LABEL org.opencontainers.image.version=0.1.0
WORKDIR /
USER 1337:1337
ENTRYPOINT ["/usr/local/bin/ambient-mesh"]
