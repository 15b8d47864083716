// Figures: what the data of the page holds, and how a body stands at a time. Column vectors; y up; metres.

const QUATERNION = 4, SKIN = 12; // numbers of a rotation; of a skinning matrix, three rows of four

/** The motions of the page, each with its body; what several share is decoded once. */
function readMotions(content) {
  const kinds = {
    uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, int16: Int16Array, float32: Float32Array,
  };
  const arrays = content.arrays.map(([kind, text]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new kinds[kind](bytes.buffer);
  });
  const bodies = content.bodies.map((record) => readBody(record, arrays));
  return content.motions.map((record) => ({
    ...record,
    body: bodies[record.body],
    rotations: arrays[record.rotations],
    root: arrays[record.root],
    contacts: record.contacts === null ? null : arrays[record.contacts],
    duration: (record.frames - 1) / record.fps,
  }));
}

/** A body: its tree, the order to walk it, and its mesh with normals, or null where it is a skeleton only. */
function readBody(record, arrays) {
  const rest = arrays[record.rest], count = record.joints.length;
  const order = [], known = new Set([-1]);
  while (order.length < count) {
    const next = record.parents.findIndex((parent, joint) => known.has(Math.max(parent, -1)) && !known.has(joint));
    if (next < 0) throw new Error(`the joints of ${record.name} form no tree`);
    order.push(next);
    known.add(next);
  }
  const heights = Array.from({ length: count }, (_, joint) => rest[3 * joint + 1]);
  const spread = [0, 1, 2].map((axis) => {
    const along = Array.from({ length: count }, (_, joint) => rest[3 * joint + axis]);
    return Math.max(...along) - Math.min(...along);
  });
  const body = { ...record, rest, order, count, size: Math.max(...spread, 1e-6), top: Math.max(...heights) };
  body.mesh = record.vertices === null ? null : {
    low: record.low,
    span: record.high.map((high, axis) => high - record.low[axis]),
    vertices: arrays[record.vertices],
    influences: arrays[record.influences],
    weights: arrays[record.weights],
    faces: arrays[record.faces],
  };
  if (body.mesh) body.mesh.normals = restNormals(body.mesh);
  return body;
}

/** Normals of the vertices in rest as int8: the sum of those of the faces around, larger faces count more. */
function restNormals({ vertices, faces, span }) {
  const normals = new Float32Array(vertices.length), packed = new Int8Array(vertices.length / 3 * 4);
  const at = (vertex, axis) => vertices[3 * vertex + axis] * span[axis];
  for (let face = 0; face < faces.length; face += 3) {
    const [a, b, c] = faces.subarray(face, face + 3);
    const [u, v] = [b, c].map((corner) => [0, 1, 2].map((axis) => at(corner, axis) - at(a, axis)));
    const across = cross(u, v);
    for (const vertex of [a, b, c]) for (let axis = 0; axis < 3; axis++) normals[3 * vertex + axis] += across[axis];
  }
  for (let vertex = 0; vertex < vertices.length / 3; vertex++) {
    const length = Math.hypot(...normals.subarray(3 * vertex, 3 * vertex + 3)) || 1;
    for (let axis = 0; axis < 3; axis++) packed[4 * vertex + axis] = 127 * normals[3 * vertex + axis] / length;
  }
  return packed;
}

function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/** The two frames around a time and how far it is between them; a clip that is over stands still. */
function framesAt(motion, time) {
  const exact = Math.min(Math.max(time * motion.fps, 0), motion.frames - 1), first = Math.floor(exact + 1e-4);
  return { first, second: Math.min(first + 1, motion.frames - 1), share: Math.max(exact - first, 0) };
}

/** Where a motion stands at a time: joints [3 K], and skinning matrices [12 K] that take rest to the world. */
function poseAt(motion, time) {
  const { body, rotations, root } = motion, { rest } = body, { first, second, share } = framesAt(motion, time);
  const joints = new Float32Array(3 * body.count), skin = new Float32Array(SKIN * body.count);
  const turns = new Float32Array(9 * body.count);
  for (const joint of body.order) {
    const parent = body.parents[joint];
    const [a, b] = [first, second].map((frame) => QUATERNION * (frame * body.count + joint));
    const local = turnOf(rotations, a, b, share);
    const turn = turns.subarray(9 * joint, 9 * joint + 9), place = joints.subarray(3 * joint, 3 * joint + 3);
    if (parent < 0) {
      turn.set(local);
      for (let i = 0; i < 3; i++) place[i] = root[3 * first + i] * (1 - share) + root[3 * second + i] * share;
    } else {
      const above = turns.subarray(9 * parent, 9 * parent + 9);
      for (let i = 0; i < 3; i++) {
        place[i] = joints[3 * parent + i];
        for (let j = 0; j < 3; j++) {
          place[i] += above[3 * i + j] * (rest[3 * joint + j] - rest[3 * parent + j]);
          turn[3 * i + j] = above[3 * i] * local[j] + above[3 * i + 1] * local[3 + j] + above[3 * i + 2] * local[6 + j];
        }
      }
    }
    for (let i = 0; i < 3; i++) {
      const row = turn.subarray(3 * i, 3 * i + 3), [x, y, z] = rest.subarray(3 * joint, 3 * joint + 3);
      skin.set([...row, place[i] - row[0] * x - row[1] * y - row[2] * z], SKIN * joint + 4 * i);
    }
  }
  return { joints, skin };
}

/** The rotation matrix between two quaternions of `values`, along the shorter way (normalised linear blend). */
function turnOf(values, a, b, share) {
  let dot = 0;
  for (let i = 0; i < QUATERNION; i++) dot += values[a + i] * values[b + i];
  const near = 1 - share, far = dot < 0 ? -share : share;
  const blend = (i) => near * values[a + i] + far * values[b + i];
  let w = blend(0), x = blend(1), y = blend(2), z = blend(3);
  const length = Math.hypot(w, x, y, z) || 1;
  w /= length, x /= length, y /= length, z /= length;
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ];
}

/** Whether a joint stands on the floor at a time; false where that is not known. */
function touches(motion, joint, time) {
  if (!motion.contacts) return false;
  const { first, second, share } = framesAt(motion, time);
  const bit = (share < 0.5 ? first : second) * motion.body.count + joint;
  return (motion.contacts[bit >> 3] >> (7 - (bit & 7)) & 1) === 1;
}

/** Add to a motion the smoothed way [2 T] of its root over the floor (what a camera follows), and the room it needs. */
function measure(motion) {
  const { frames, root } = motion, sigma = 0.2 * motion.fps, reach = Math.ceil(3 * sigma);
  const way = new Float32Array(2 * frames);
  for (let frame = 0; frame < frames; frame++) {
    let total = 0, x = 0, z = 0;
    for (let step = -reach; step <= reach; step++) {
      const weight = Math.exp(-0.5 * (step / sigma) ** 2), near = Math.min(Math.max(frame + step, 0), frames - 1);
      total += weight, x += weight * root[3 * near], z += weight * root[3 * near + 2];
    }
    way[2 * frame] = x / total, way[2 * frame + 1] = z / total;
  }
  const low = [Infinity, motion.floor, Infinity], high = [-Infinity, motion.floor + 0.3 * motion.body.size, -Infinity];
  let around = 0;
  for (let frame = 0; frame < frames; frame += Math.ceil(frames / 300)) {
    const { joints } = poseAt(motion, frame / motion.fps);
    for (let joint = 0; joint < joints.length; joint += 3) {
      for (let axis = 0; axis < 3; axis++) {
        low[axis] = Math.min(low[axis], joints[joint + axis]), high[axis] = Math.max(high[axis], joints[joint + axis]);
      }
      around = Math.max(around, Math.hypot(joints[joint] - way[2 * frame], joints[joint + 2] - way[2 * frame + 1]));
    }
  }
  const { mesh, top, size } = motion.body;
  if (mesh) high[1] += Math.max(0, mesh.low[1] + mesh.span[1] - top); // the head above its joint
  Object.assign(motion, { way, low, high, around: around + 0.05 * size });
}

/** The point of the floor [x, z] that a camera behind the root looks at. */
function followedAt(motion, time) {
  const { first, second, share } = framesAt(motion, time);
  return [0, 1].map((axis) => motion.way[2 * first + axis] * (1 - share) + motion.way[2 * second + axis] * share);
}
