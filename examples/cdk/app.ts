// WeAudit in a CDK app: the repository's own template, included as it is, with the zips of `weaudit package` as assets.
//
//   npx cdk deploy -c stage=staging -c prefix=staging- -c parameters='{"LogRetentionDays":"90"}'

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

import { App, CfnOutput, Fn, Stack, StackProps } from 'aws-cdk-lib';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnFunction } from 'aws-cdk-lib/aws-sam';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';
import { Construct } from 'constructs';

const ROOT = path.resolve(__dirname, '..', '..', '..');
const LOCAL_CODE = /^\.\.\/dist\/([\w-]+)\.zip$/;

interface WeAuditProps extends StackProps {
  /** The template's parameters, by name, lists as arrays. They become part of the template; the others stay parameters. */
  readonly parameters: Record<string, string | string[]>;
  /** The template: the repository's own, or one that is packaged already. */
  readonly template: string;
  /** The folder of the functions' zips. */
  readonly packages: string;
}

class WeAudit extends Stack {
  /** The template's resources and parameters, for what you add: `weaudit.template.getResource('AuditTable')`. */
  readonly template: CfnInclude;

  constructor(scope: Construct, id: string, props: WeAuditProps) {
    super(scope, id, props);
    this.template = included(this, props);
    for (const child of this.template.node.findAll()) {
      if (child instanceof CfnFunction) {
        this.upload(child, props.packages);
      }
    }
  }

  private upload(lambda: CfnFunction, packages: string): void {
    const local = typeof lambda.codeUri === 'string' ? LOCAL_CODE.exec(lambda.codeUri) : null;
    if (local === null) {
      return; // on S3 already
    }
    const zip = new Asset(this, `${lambda.node.id}Code`, { path: path.join(packages, `${local[1]}.zip`) });
    lambda.codeUri = { bucket: zip.s3BucketName, key: zip.s3ObjectKey };
  }
}

/**
 * Include the template. What SAM makes is in it by name (`!Ref Health.Alias`, `DependsOn: S3ProcessorAliaslive`), and is
 * no resource before SAM's transform, which CfnInclude takes for an error. It does not look into parameters, so each such
 * alias becomes one, whose value is that very Ref; and a resource is told afterwards what it waits for.
 */
function included(stack: Stack, props: WeAuditProps): CfnInclude {
  let text = fs.readFileSync(props.template, 'utf8');
  const aliases = [...new Set([...text.matchAll(/!Ref (\w+\.Alias)\b/g)].map((match) => match[1]))];
  const declared = aliases.map((name) => `  ${name}: {Type: String}\n`).join('');
  text = text.replace(/^Parameters:\n/m, (line) => line + declared);
  const waiting = [...text.matchAll(/^  (\w+):\n(?:    .*\n)*?(    DependsOn: (\w+)\n)/gm)]
    .map(([, name, line, on]) => ({ name, line, on }))
    .filter(({ on }) => !text.includes(`\n  ${on}:\n`));
  waiting.forEach(({ line }) => (text = text.replace(line, '')));

  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weaudit-'));
  try {
    const templateFile = path.join(folder, 'template.yaml');
    fs.writeFileSync(templateFile, text);
    const refs = Object.fromEntries(aliases.map((name) => [name, Fn.ref(name)]));
    const template = new CfnInclude(stack, 'WeAudit', { templateFile, parameters: { ...props.parameters, ...refs } });
    waiting.forEach(({ name, on }) => template.getResource(name).addOverride('DependsOn', on));
    return template;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

const app = new App();
const given = (name: string, otherwise: string): string => app.node.tryGetContext(name) ?? otherwise;

const stage = given('stage', 'dev');
const prefix = given('prefix', '');
const weaudit = new WeAudit(app, 'WeAudit', {
  // The name by which `weaudit` commands find a stack.
  stackName: `${prefix}weaudit-${stage}`,
  env: { account: process.env.CDK_DEFAULT_ACCOUNT, region: process.env.CDK_DEFAULT_REGION },
  parameters: { ...JSON.parse(given('parameters', '{}')), Prefix: prefix, EnvironmentSuffix: stage },
  template: given('template', path.join(ROOT, 'infra', 'template.yaml')),
  packages: given('packages', path.join(ROOT, 'dist')),
});

// The template's resources are yours to refer to.
new CfnOutput(weaudit, 'AuditTableOfTheCdk', { value: weaudit.template.getResource('AuditTable').ref });
