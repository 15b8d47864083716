// WebGL 2: programs, buffers and textures of the scene.

const PLACES = { place: 0, normal: 1, influences: 2, weights: 3, corner: 0, start: 1, end: 2, radius: 3, hue: 4 };

/** A program with its uniforms by name: [place, type]. */
function link(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  for (const [name, place] of Object.entries(PLACES)) gl.bindAttribLocation(program, place, name);
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  const uniforms = {};
  for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
    const { name, type } = gl.getActiveUniform(program, i);
    uniforms[name.replace("[0]", "")] = [gl.getUniformLocation(program, name), type];
  }
  return { program, uniforms };
}

/** Use a program with those of `values` that it asks for. */
function setUniforms(gl, { program, uniforms }, values) {
  gl.useProgram(program);
  for (const [name, [place, type]] of Object.entries(uniforms)) {
    const value = values[name];
    if (type === gl.FLOAT_MAT4) gl.uniformMatrix4fv(place, false, value);
    else if (type === gl.FLOAT_VEC3) value.length && gl.uniform3fv(place, value);
    else if (type === gl.FLOAT_VEC2) gl.uniform2fv(place, value);
    else if (type === gl.FLOAT) gl.uniform1f(place, value);
    else gl.uniform1i(place, value);
  }
}

function bufferOf(gl, values, target = gl.ARRAY_BUFFER) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(target, buffer);
  gl.bufferData(target, values, gl.STATIC_DRAW);
  return buffer;
}

function attribute(gl, buffer, place, size, kind, how = {}) {
  const { scaled = false, stride = 0, offset = 0, divisor = 0, whole = false } = how;
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(place);
  if (whole) gl.vertexAttribIPointer(place, size, kind, stride, offset);
  else gl.vertexAttribPointer(place, size, kind, scaled, stride, offset);
  gl.vertexAttribDivisor(place, divisor);
}

function textureOf(gl, filter) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  for (const size of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, size, filter);
  return texture;
}

/** A mesh on the GPU. */
function meshArray(gl, mesh) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  attribute(gl, bufferOf(gl, mesh.vertices), PLACES.place, 3, gl.UNSIGNED_SHORT, { scaled: true });
  attribute(gl, bufferOf(gl, mesh.normals), PLACES.normal, 3, gl.BYTE, { scaled: true, stride: 4 });
  const kind = mesh.influences instanceof Uint8Array ? gl.UNSIGNED_BYTE : gl.UNSIGNED_SHORT;
  attribute(gl, bufferOf(gl, mesh.influences), PLACES.influences, 4, kind, { whole: true });
  attribute(gl, bufferOf(gl, mesh.weights), PLACES.weights, 4, gl.UNSIGNED_BYTE, { scaled: true });
  bufferOf(gl, mesh.faces, gl.ELEMENT_ARRAY_BUFFER);
  const wide = mesh.faces instanceof Uint16Array ? gl.UNSIGNED_SHORT : gl.UNSIGNED_INT;
  return { array, count: mesh.faces.length, kind: wide };
}

/** Room for bones: a square each, stretched from one end to the other. */
function boneArray(gl, corners) {
  const array = gl.createVertexArray(), buffer = gl.createBuffer(), stride = 4 * BONE_NUMBERS;
  gl.bindVertexArray(array);
  attribute(gl, corners, PLACES.corner, 2, gl.FLOAT);
  for (const [name, size, offset] of [["start", 3, 0], ["end", 3, 12], ["radius", 1, 24], ["hue", 3, 28]]) {
    attribute(gl, buffer, PLACES[name], size, gl.FLOAT, { stride, offset, divisor: 1 });
  }
  return { array, buffer, count: 0 };
}

function fillBones(gl, bones, rows) {
  gl.bindBuffer(gl.ARRAY_BUFFER, bones.buffer);
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(rows), gl.DYNAMIC_DRAW);
  bones.count = rows.length / BONE_NUMBERS;
}

/** Write the skinning matrices and colours of all joints into the texture that the mesh reads. */
function uploadPose(gl, texture, motion, skin, touching, colours) {
  const { count, sides } = motion.body, texels = new Float32Array(16 * count), touched = new Set(touching);
  for (let joint = 0; joint < count; joint++) {
    texels.set(skin.subarray(SKIN * joint, SKIN * (joint + 1)), 16 * joint);
    texels.set(touched.has(joint) ? colours.touch : mix(colours[sides[joint]], colours.clay, 0.5), 16 * joint + 12);
  }
  gl.activeTexture(gl.TEXTURE0);
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, 4, count, 0, gl.RGBA, gl.FLOAT, texels);
}
